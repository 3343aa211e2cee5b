"""The demo's cast: wallets, keys, money and places on the subnet for every role.

Everything goes through the product's command lines, but for what no honest command does: a hostile miner
commits by hand what its own `check` would refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localnet.genesis import Genesis, create_chain
from localnet.substrate import LocalSubstrate
from scripts.demo.stage import Stage
from shared.chain.commitment import Locator, commitment_digest, encode_commitment
from shared.chain.connect import connect
from shared.chain.wallets import hotkey_of, open_wallet
from shared.checkpoints.manifest import build_manifest, write_manifest
from shared.checkpoints.stores import FileStore
from shared.settings import Settings
from shared.types import BlockNumber, Digest, Hotkey, Netuid

OWNER, VALIDATOR = "owner", "validator"
MINERS = ("honest", "copycat", "noised_copy", "degenerate", "hostile")
ROLES = (OWNER, VALIDATOR, *MINERS)
FUNDS_RAO = 10_000 * 10**9
STAKE_TAO = 1_000


@dataclass(frozen=True)
class Cast:
    """Everybody's keys, and the subnet that they meet on."""

    settings: Settings
    hotkeys: Mapping[str, Hotkey]
    netuid: Netuid

    def of(self, role: str) -> Settings:
        """The settings of one role."""
        return self.settings.model_copy(update={"wallet": role, "netuid": self.netuid})


def make_wallets(settings: Settings) -> dict[str, tuple[Hotkey, str]]:
    """Unencrypted wallets for every role: hotkey and coldkey addresses."""
    from shared.chain.dev_wallets import create_dev_wallet

    made = {}
    for role in ROLES:
        wallet = create_dev_wallet(settings.model_copy(update={"wallet": role}))
        made[role] = (hotkey_of(wallet), wallet.coldkeypub.ss58_address)
    return made


def make_chain(settings: Settings, coldkeys: list[str], *, seed: int, block_time_s: float) -> None:
    """A development chain on which every coldkey has money."""
    genesis = Genesis.preset(
        "dev",
        block_time_s=block_time_s,
        entropy_seed=f"demo-{seed}",
        extra=dict.fromkeys(coldkeys, FUNDS_RAO),
    )
    create_chain(settings.localnet, genesis)


def assemble(stage: Stage, settings: Settings, hotkeys: Mapping[str, Hotkey], round_blocks: int) -> Cast:
    """Subnet, registrations, stake and a first epoch, so that the validator holds a permit."""
    plan = stage.run_json(
        "subnet",
        "agon-validator",
        "subnet",
        "init",
        "-w",
        OWNER,
        "--round-blocks",
        str(round_blocks),
        "--yes",
    )
    netuid = Netuid(plan["netuid"])
    for role in (VALIDATOR, *MINERS):
        stage.run(
            f"register-{role}",
            "agon-miner",
            "register",
            "-w",
            role,
            "--netuid",
            str(netuid),
            "--max-burn",
            "1",
            "--yes",
        )
    cast = Cast(settings, hotkeys, netuid)
    asyncio.run(_stake(cast))
    return cast


async def _stake(cast: Cast) -> None:
    settings = cast.of(VALIDATOR)
    wallet = open_wallet(settings, need="coldkey")
    async with connect(settings) as chain:
        await chain.add_stake(wallet, cast.netuid, STAKE_TAO, cast.hotkeys[VALIDATOR])
        await asyncio.to_thread(LocalSubstrate(settings.localnet).advance, await chain.tempo(cast.netuid) + 1)


def advance_to(settings: Settings, block: int) -> int:
    """Make blocks until the head is at `block` at least; returns the head."""
    return asyncio.run(_advance_to(settings, block))


async def _advance_to(settings: Settings, block: int) -> int:
    substrate = LocalSubstrate(settings.localnet)
    await substrate.connect()
    try:
        head = await substrate.block_number()
        if head < block:
            head = await asyncio.to_thread(substrate.advance, block - head)
    finally:
        await substrate.close()
    return head


def head_of(settings: Settings) -> int:
    """Height of the chain."""
    return advance_to(settings, 0)


def commit_by_hand(cast: Cast, role: str, checkpoint: Path, competition: Digest) -> BlockNumber:
    """Commit and publish a checkpoint without looking at it, as no honest miner would."""
    return asyncio.run(_commit_by_hand(cast, role, checkpoint, competition))


async def _commit_by_hand(cast: Cast, role: str, checkpoint: Path, competition: Digest) -> BlockNumber:
    settings = cast.of(role)
    manifest = build_manifest(checkpoint)
    write_manifest(checkpoint, manifest)
    FileStore(settings.store, role).publish(checkpoint, manifest)
    digest = commitment_digest(competition, manifest.digest, cast.hotkeys[role])
    async with connect(settings) as chain:
        text = encode_commitment(digest, Locator("file", role))
        return (await chain.commit(open_wallet(settings), cast.netuid, text)).block


def read_incentive(cast: Cast) -> dict[Hotkey, float]:
    """Incentive of every hotkey, as the chain's newest epoch left it."""
    return asyncio.run(_read_incentive(cast))


async def _read_incentive(cast: Cast) -> dict[Hotkey, float]:
    async with connect(cast.settings) as chain:
        return {neuron.hotkey: neuron.incentive for neuron in await chain.neurons(cast.netuid)}


def committed(cast: Cast, roles: tuple[str, ...]) -> bool:
    """Whether every role has a live commitment."""
    return asyncio.run(_committed(cast, roles))


async def _committed(cast: Cast, roles: tuple[str, ...]) -> bool:
    async with connect(cast.settings) as chain:
        live = [await chain.commitment_of(cast.netuid, cast.hotkeys[role]) for role in roles]
    return all(record is not None for record in live)
