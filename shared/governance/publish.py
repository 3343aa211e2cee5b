"""The way of a governance log to its readers: fetched and verified, restored, published, committed.

Owners and validators publish with it, and everybody fetches with it. The order makes every step
repeatable: the log is extended on disk, put at its locator, and only then does the chain point at its head.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.chain.client import ChainClient
from shared.chain.commitment import Commitment, Locator, encode_log_head, parse_log_head
from shared.chain.wallets import Wallet, hotkey_of
from shared.checkpoints.files import write_whole
from shared.checkpoints.stores import open_store
from shared.errors import AgonError, Rejection
from shared.governance.log import LOG_NAME, GovernanceLog, read_log
from shared.protocol.governance import LogEntry
from shared.protocol.wire import canonical_json
from shared.settings import Settings
from shared.types import Hotkey, Netuid

log = structlog.get_logger()

MAX_LOG_BYTES = 4_000_000


@dataclass(frozen=True)
class LogTarget:
    """Where an author keeps the log and where the public reads it."""

    own_file: Path
    locator: Locator
    settings: Settings
    """What the store there is opened with."""


def log_target(settings: Settings, hotkey: Hotkey, locator: Locator | None = None) -> LogTarget:
    """The author's place: a file in the state directory, published as `file:log-<hotkey>` by default."""
    return LogTarget(
        own_file=settings.state / f"log-{hotkey}.jsonl",
        locator=locator or Locator("file", f"log-{hotkey}"),
        settings=settings,
    )


async def open_log(chain: ChainClient, netuid: Netuid, author: Hotkey, place: LogTarget) -> GovernanceLog:
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
    chain: ChainClient, wallet: Wallet, netuid: Netuid, own: GovernanceLog, place: LogTarget
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
