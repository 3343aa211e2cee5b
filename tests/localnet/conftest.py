"""A fresh chain per test, wallets without files, and a subnet with a staked validator and a miner."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import bittensor as bt
import pytest
from bittensor.sp_core import Keypair

from localnet.genesis import Genesis, NeuronSeed, SubnetSeed, create_chain
from localnet.store import State, open_database
from localnet.substrate import LocalSubstrate


@dataclass(frozen=True)
class DevWallet:
    """A wallet from development URIs: no files, no passwords."""

    coldkey: Keypair
    hotkey: Keypair

    @property
    def coldkeypub(self) -> Keypair:
        return self.coldkey


@dataclass(frozen=True)
class World:
    """One chain that seals a block per submission, and the wallets that act on it."""

    path: Path
    substrate: LocalSubstrate
    owner: DevWallet
    validator: DevWallet
    miner: DevWallet

    def run(self, story: Callable[[bt.Client], Awaitable[object]]) -> object:
        """Run an async story against this chain through the SDK's client."""

        async def tell() -> object:
            async with bt.Client("local", substrate=LocalSubstrate(self.path)) as client:
                return await story(client)

        return asyncio.run(tell())

    async def found(self, client: bt.Client) -> None:
        """Subnet 1 with owner (uid 0), staked validator (uid 1) and miner (uid 2), one epoch old."""
        (await client.execute(bt.RegisterSubnet(), self.owner)).raise_for_failure()
        (await client.execute(bt.StartCall(netuid=1), self.owner)).raise_for_failure()
        for wallet in (self.validator, self.miner):
            (await client.execute(bt.BurnedRegister(netuid=1), wallet)).raise_for_failure()
        stake = bt.AddStake(netuid=1, hotkey_ss58=self.validator.hotkey.ss58_address, amount_tao=100)
        (await client.execute(stake, self.validator)).raise_for_failure()
        self.substrate.advance(25)


def make_wallet(name: str) -> DevWallet:
    return DevWallet(Keypair.create_from_uri(f"//{name}"), Keypair.create_from_uri(f"//{name}//hot"))


@pytest.fixture(autouse=True)
def _no_symbol_cache(tmp_path, monkeypatch):
    """The SDK caches token symbols in the home directory; tests keep theirs to themselves."""
    monkeypatch.setenv("BTCLI_TOKEN_SYMBOLS_CACHE", str(tmp_path / "symbols.json"))


@pytest.fixture
def make_world(tmp_path) -> Callable[..., World]:
    def make(**overrides: object) -> World:
        path = tmp_path / "chain.db"
        create_chain(path, Genesis.preset("dev", **{"block_time_s": 0, **overrides}))
        wallets = [make_wallet(name) for name in ("Alice", "Bob", "Charlie")]
        return World(path, LocalSubstrate(path), *wallets)

    return make


@pytest.fixture(scope="session")
def hostile_state(tmp_path_factory) -> State:
    """State of a chain with one subnet, for calls that may do what they like to it."""
    path = tmp_path_factory.mktemp("hostile") / "chain.db"
    neurons = (NeuronSeed(hotkey="//Alice", coldkey="//Alice", stake_rao=10**12),)
    subnet = SubnetSeed(owner_hotkey="//Alice//hot", owner_coldkey="//Alice", neurons=neurons)
    create_chain(path, Genesis.preset("dev", block_time_s=0, subnets=(subnet,)))
    return State(open_database(path), 1, LocalSubstrate(path).chain.genesis)


@pytest.fixture
def world(make_world) -> World:
    return make_world()
