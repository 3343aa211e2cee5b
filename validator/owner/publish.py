"""Publishing the rules of a competition in the owner's governance log.

`agon-validator competition publish` calls it. It settles the start, appends what the log lacks, and leaves
the rest to `shared.governance.publish`. It never scores anything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.chain.client import ChainClient
from shared.chain.commitment import Locator
from shared.chain.wallets import Wallet, hotkey_of
from shared.checkpoints.bundle import load_bundle, write_rules
from shared.checkpoints.numbers import check_bundle_numbers
from shared.checkpoints.stores import open_store
from shared.errors import AgonError
from shared.governance.log import GovernanceLog, rules_name
from shared.governance.publish import LogTarget, committed_head, open_log, publish_log
from shared.protocol.competition import Competition
from shared.protocol.governance import EntryKind
from shared.protocol.wire import canonical_json
from shared.types import Digest, Netuid, RoundNumber

log = structlog.get_logger()

START_DELAY_BLOCKS = 5
"""Blocks from publishing to the first block of round 0, when the owner names none."""
NOTICE_ROUNDS = 2
"""New rules start at least this many rounds after they are published."""


@dataclass(frozen=True)
class Publication:
    """What publishing left on chain."""

    competition: Digest
    start_block: int
    head: Digest
    locator: Locator
    appended: int
    """Entries added by this call; 0 when all were there."""
    committed: bool
    """Whether this call changed the commitment slot."""


async def publish_competition(
    chain: ChainClient,
    wallet: Wallet,
    netuid: Netuid,
    bundle_root: Path,
    place: LogTarget,
    *,
    start_block: int | None = None,
) -> Publication:
    """Check a bundle, settle when its round 0 starts, and put its rules, judges and pools in force.

    The start block is part of the rules: unless it lies ahead or is named here, it is set and the bundle's
    rules are written again. Raises AgonError `bundle_damaged`, `competition_invalid`, `pool_too_small`,
    `log_invalid`, or what the chain refuses.
    """
    await _require_owner(chain, wallet, netuid)
    bundle = await asyncio.to_thread(load_bundle, bundle_root)
    check_bundle_numbers(bundle.rules, bundle.pools)
    own = await open_log(chain, netuid, hotkey_of(wallet), place)
    rules = bundle.rules
    committed = await committed_head(chain, netuid, hotkey_of(wallet))
    public = own.until(committed.digest if committed else None)
    if not any(entry.kind == "rules" and entry.digest == rules.digest for entry in public):
        # never seen by anybody, be it that an earlier attempt was killed: its start may have passed
        others = any(entry.kind == "rules" for entry in public)
        head = (await chain.finalised_head()).number
        rules = schedule_start(rules, head, start_block, notice=NOTICE_ROUNDS if others else 0)
    elif start_block not in {None, rules.schedule.start_block}:
        raise AgonError("competition_invalid", "these rules are published already; their start is settled")
    if rules != bundle.rules:
        write_rules(bundle_root, rules)
    return await publish_rules(chain, wallet, netuid, rules=rules, own=own, place=place)


def schedule_start(rules: Competition, head: int, start_block: int | None, *, notice: int) -> Competition:
    """The rules with a first block that lies ahead, `notice` rounds at least.

    Raises AgonError `competition_invalid` when the named block is too early.
    """
    earliest = head + 1 + notice * rules.schedule.round_blocks
    if start_block is not None and start_block < earliest:
        message = f"round 0 cannot start at block {start_block}: the earliest now is {earliest}"
        raise AgonError("competition_invalid", message, help="name a later --start-block, or none")
    if start_block is None and rules.schedule.start_block >= earliest:
        return rules
    start = earliest + START_DELAY_BLOCKS if start_block is None else start_block
    schedule = rules.schedule.model_copy(update={"start_block": start})
    return Competition.model_validate({**rules.model_dump(), "schedule": schedule.model_dump()})


async def publish_rules(
    chain: ChainClient,
    wallet: Wallet,
    netuid: Netuid,
    *,
    rules: Competition,
    own: GovernanceLog,
    place: LogTarget,
) -> Publication:
    """Append what the log lacks of these rules, publish rules and log, and commit the head."""
    store, before = open_store(place.locator, place.settings), len(own.entries)
    for kind, digest, from_round in _wanted(rules):
        if not own.holds(kind, digest):
            own.append(kind, digest, from_round)
    await asyncio.to_thread(store.write, rules_name(rules.digest), canonical_json(rules))
    committed = await publish_log(chain, wallet, netuid, own, place)
    log.info("competition published", competition=rules.digest, start_block=rules.schedule.start_block)
    return Publication(
        competition=rules.digest,
        start_block=rules.schedule.start_block,
        head=own.entries[-1].entry_digest,
        locator=place.locator,
        appended=len(own.entries) - before,
        committed=committed,
    )


async def _require_owner(chain: ChainClient, wallet: Wallet, netuid: Netuid) -> None:
    owner = await chain.owner_hotkey(netuid)
    if owner != hotkey_of(wallet):
        message = f"rules are published by the owner's hotkey {owner}, not by {hotkey_of(wallet)}"
        raise AgonError("chain_rejected", message, help="pass the owner's --wallet and -H")


def _wanted(rules: Competition) -> list[tuple[EntryKind, Digest, RoundNumber]]:
    first = RoundNumber(0)
    wanted: list[tuple[EntryKind, Digest, RoundNumber]] = []
    wanted += [("judge", judge.digest, judge.from_round) for judge in rules.judges]
    wanted += [("pool", part.pool.root, first) for part in rules.slices]
    # the rules come last: a log that holds them holds all that they name
    return [*wanted, ("rules", rules.digest, first)]
