"""Publishing: an author's governance log, and the rules of a competition in the owner's.

`agon-validator competition publish` calls it. The order makes every step repeatable: the log is extended
on disk, put in its place, and only then does the chain point at its head. It never scores anything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.chain.client import ChainClient
from shared.chain.commitment import Commitment, Locator, encode_log_head, parse_log_head
from shared.chain.governance import LOG_NAME, GovernanceLog, read_log, rules_name
from shared.chain.wallets import Wallet, hotkey_of
from shared.checkpoints.bundle import load_bundle, write_rules
from shared.checkpoints.files import write_whole
from shared.checkpoints.numbers import check_bundle_numbers
from shared.checkpoints.stores import open_store
from shared.errors import AgonError, Rejection
from shared.models.competition import Competition
from shared.models.governance import EntryKind, LogEntry
from shared.models.wire import canonical_json
from shared.settings import Settings
from shared.types import Digest, Hotkey, Netuid, RoundNumber

log = structlog.get_logger()

MAX_LOG_BYTES = 4_000_000
START_DELAY_BLOCKS = 5
"""Blocks from publishing to the first block of round 0, when the owner names none."""
NOTICE_ROUNDS = 2
"""New rules start at least this many rounds after they are published."""


@dataclass(frozen=True)
class LogPlace:
    """Where an author keeps the log and where the public reads it."""

    own_file: Path
    locator: Locator
    settings: Settings
    """What the store there is opened with."""


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


def log_place(settings: Settings, hotkey: Hotkey, locator: Locator | None = None) -> LogPlace:
    """The author's place: a file in the state directory, published as `file:log-<hotkey>` by default."""
    return LogPlace(
        own_file=settings.state / f"log-{hotkey}.jsonl",
        locator=locator or Locator("file", f"log-{hotkey}"),
        settings=settings,
    )


async def publish_competition(
    chain: ChainClient,
    wallet: Wallet,
    netuid: Netuid,
    bundle_root: Path,
    place: LogPlace,
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
    place: LogPlace,
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


async def open_log(chain: ChainClient, netuid: Netuid, author: Hotkey, place: LogPlace) -> GovernanceLog:
    """The author's log, restored from where it is published when the own file lacks the committed head.

    Raises AgonError `log_invalid` when the two have parted.
    """
    own = GovernanceLog(place.own_file)
    committed = await committed_head(chain, netuid, author)
    if committed is None or any(entry.entry_digest == committed.digest for entry in own.entries):
        return own
    entries = await fetch_log(committed, place.settings)
    if entries[: len(own.entries)] != own.entries:
        message = f"{place.own_file} and the log that {author} committed have parted"
        raise AgonError("log_invalid", message, help="restore the file from a backup, or move it away")
    write_whole(place.own_file, b"".join(canonical_json(entry) + b"\n" for entry in entries))
    log.warning("governance log restored", entries=len(entries))
    return GovernanceLog(place.own_file)


async def fetch_log(head: Commitment, settings: Settings) -> tuple[LogEntry, ...]:
    """A published log up to its committed head, verified. Raises as `read_log` and the store do."""
    store = open_store(head.locator, settings)
    data = await asyncio.to_thread(store.read, LOG_NAME, limit_bytes=MAX_LOG_BYTES)
    return read_log(data, head.digest)


async def committed_head(chain: ChainClient, netuid: Netuid, author: Hotkey) -> Commitment | None:
    """The log head in the author's slot; None when the slot is empty or holds something else."""
    record = await chain.commitment_of(netuid, author)
    try:
        return None if record is None else parse_log_head(record.fields)
    except Rejection:
        return None


async def publish_log(
    chain: ChainClient, wallet: Wallet, netuid: Netuid, own: GovernanceLog, place: LogPlace
) -> bool:
    """Put the log in its place and point the chain at its head; False when it pointed there already."""
    if own.head is None:
        raise ValueError("an empty log has no head to commit")
    store = open_store(place.locator, place.settings)
    await asyncio.to_thread(store.write, LOG_NAME, own.data)
    if await committed_head(chain, netuid, hotkey_of(wallet)) == Commitment(own.head, place.locator):
        return False
    await chain.commit(wallet, netuid, encode_log_head(own.head, place.locator))
    return True
