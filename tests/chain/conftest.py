"""An embedded chain that seals a block per submission, and wallets with money on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import bittensor as bt
import pytest

from localnet.genesis import Genesis, create_chain
from localnet.substrate import LocalSubstrate
from shared.chain.client import ChainClient
from shared.settings import Settings

NAMES = ("owner", "first", "second")
World = Callable[[], AbstractAsyncContextManager[tuple[ChainClient, LocalSubstrate]]]


@pytest.fixture
def wallets(tmp_path: Path) -> dict[str, bt.Wallet]:
    made = {name: bt.Wallet(name, "default", str(tmp_path / "wallets")) for name in NAMES}
    for wallet in made.values():
        wallet.create_new_coldkey(use_password=False, suppress=True)
        wallet.create_new_hotkey(use_password=False, suppress=True)
    return made


@pytest.fixture
def settings(tmp_path: Path, wallets: dict[str, bt.Wallet]) -> Settings:
    """Settings of a chain on which every wallet has 1000 TAO."""
    funds = {wallet.coldkeypub.ss58_address: 1_000 * 10**9 for wallet in wallets.values()}
    path = tmp_path / "chain.db"
    create_chain(path, Genesis.preset("dev", block_time_s=0, entropy_seed="tests", extra=funds))
    return Settings.load(
        network="embedded",
        localnet=path,
        wallet="owner",
        wallet_path=tmp_path / "wallets",
        store=tmp_path / "store",
    )


@pytest.fixture
def world(settings: Settings) -> World:
    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[ChainClient, LocalSubstrate]]:
        substrate = LocalSubstrate(settings.localnet)
        await substrate.connect()
        try:
            yield ChainClient(substrate, "local"), substrate
        finally:
            await substrate.close()

    return opened
