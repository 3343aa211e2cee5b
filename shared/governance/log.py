"""The governance log: what its author committed to, in an order that nobody can change later.

The owner appends rules, judges and pools; validators append statements. The log is a file of JSON lines
at a locator, its head is in the author's commitment slot. Everything here works on bytes and one local
file; fetching and committing are the callers' business.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.errors import AgonError
from shared.protocol.governance import EntryKind, LogEntry
from shared.protocol.wire import canonical_json
from shared.types import Digest, RoundNumber

LOG_NAME = "log.jsonl"
"""Name of the log below its locator."""


@dataclass(frozen=True)
class InForce:
    """What a log says about one round."""

    rules: Digest | None
    """Competition in force; none before the first rules."""
    judges: tuple[Digest, ...]
    """Judges committed for this round or earlier and not retired, oldest entry first."""
    pools: tuple[Digest, ...]
    """Roots of prompt pools, likewise."""


def rules_name(competition: Digest) -> str:
    """Name, below the log's locator, of the rules with this digest."""
    return f"rules-{competition.removeprefix('sha256:')}.json"


def read_log(data: bytes, head: Digest) -> tuple[LogEntry, ...]:
    """Entries up to the committed `head`; later ones, not yet committed, are left out.

    Raises AgonError `log_invalid` when a line is not a canonical entry, a link is broken, or the head is
    not there.
    """
    entries: list[LogEntry] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        entry = _read_line(line, number)
        _check_link(entry, entries[-1] if entries else None)
        entries.append(entry)
        if entry.entry_digest == head:
            return tuple(entries)
    raise AgonError("log_invalid", f"governance log does not reach its committed head {head}")


def in_force(entries: Sequence[LogEntry], round_number: RoundNumber) -> InForce:
    """Rules, judges and pools that serve a round, given the entries that the chain reached by then."""
    due = [entry for entry in entries if entry.from_round <= round_number]
    rules = [entry.digest for entry in due if entry.kind == "rules"]
    return InForce(
        rules=rules[-1] if rules else None, judges=_serving(due, "judge"), pools=_serving(due, "pool")
    )


def _serving(due: Sequence[LogEntry], kind: EntryKind) -> tuple[Digest, ...]:
    serving: dict[Digest, None] = {}
    for entry in due:
        if entry.kind == kind:
            serving[entry.digest] = None
        elif entry.kind == "retire":
            serving.pop(entry.digest, None)
    return tuple(serving)


class GovernanceLog:
    """An author's own log in a local file. One process writes it; a kill never leaves half an entry."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = _read_own(path)

    @property
    def head(self) -> Digest | None:
        """Digest of the newest entry; none while the log is empty."""
        return self.entries[-1].entry_digest if self.entries else None

    @property
    def data(self) -> bytes:
        """The whole log as it is published."""
        return b"".join(canonical_json(entry) + b"\n" for entry in self.entries)

    def holds(self, kind: EntryKind, digest: Digest) -> bool:
        """Whether such an entry was appended and, for a judge or pool, not retired since."""
        last = [item.kind for item in self.entries if item.digest == digest and item.kind in {kind, "retire"}]
        return bool(last) and last[-1] == kind

    def until(self, head: Digest | None) -> tuple[LogEntry, ...]:
        """Entries up to the committed `head`: those that the public can know of; none without a head."""
        place = next((i for i, entry in enumerate(self.entries) if entry.entry_digest == head), -1)
        return self.entries[: place + 1]

    def append(self, kind: EntryKind, digest: Digest, from_round: RoundNumber) -> LogEntry:
        """Add one entry and write the file atomically."""
        entry = LogEntry(
            seq=len(self.entries), previous=self.head, kind=kind, digest=digest, from_round=from_round
        )
        self.entries = (*self.entries, entry)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        with part.open("wb") as file:
            file.write(self.data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        return entry


def _read_own(path: Path) -> tuple[LogEntry, ...]:
    if not path.exists():
        return ()
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    head = _read_line(lines[-1], len(lines)).entry_digest
    return read_log(b"\n".join(lines), head)


def _read_line(line: bytes, number: int) -> LogEntry:
    try:
        entry = LogEntry.model_validate_json(line)
        canonical = canonical_json(entry) == line
    except (ValidationError, ValueError) as error:
        raise AgonError("log_invalid", f"line {number} of the governance log is no entry") from error
    if not canonical:
        raise AgonError("log_invalid", f"line {number} of the governance log is not canonical JSON")
    return entry


def _check_link(entry: LogEntry, before: LogEntry | None) -> None:
    seq, previous = (before.seq + 1, before.entry_digest) if before else (0, None)
    if (entry.seq, entry.previous) != (seq, previous):
        raise AgonError("log_invalid", f"entry {entry.seq} does not follow the entry before it")
