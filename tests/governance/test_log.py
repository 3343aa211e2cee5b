"""A governance log cannot be changed, reordered or cut without its committed head showing it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.governance.log import GovernanceLog, InForce, in_force, read_log
from shared.protocol.governance import LogEntry
from shared.protocol.wire import canonical_json
from shared.types import Digest, RoundNumber


def digest(number: int) -> Digest:
    return Digest("sha256:" + f"{number:064x}")


def chained(kinds: list[str]) -> list[LogEntry]:
    entries: list[LogEntry] = []
    for seq, kind in enumerate(kinds):
        previous = entries[-1].entry_digest if entries else None
        entries.append(
            LogEntry.model_validate(
                {"seq": seq, "previous": previous, "kind": kind, "digest": digest(seq), "from_round": seq}
            )
        )
    return entries


def published(entries: list[LogEntry]) -> bytes:
    return b"".join(canonical_json(entry) + b"\n" for entry in entries)


def test_log_survives_reopening_and_reads_up_to_the_committed_head(tmp_path: Path) -> None:
    log = GovernanceLog(tmp_path / "owner" / "log.jsonl")
    assert log.head is None
    first = log.append("rules", digest(1), RoundNumber(0))
    second = log.append("judge", digest(2), RoundNumber(0))
    again = GovernanceLog(log.path)
    assert again.entries == (first, second)
    assert again.head == second.entry_digest
    assert log.path.read_bytes() == log.data
    assert read_log(log.data, first.entry_digest) == (first,)
    assert read_log(log.data, second.entry_digest) == (first, second)
    assert [item.name for item in log.path.parent.iterdir()] == ["log.jsonl"]


@given(st.integers(2, 6), st.data())
def test_any_changed_byte_is_seen(count: int, data: st.DataObject) -> None:
    entries = chained(["rules"] * count)
    text = published(entries)
    place = data.draw(st.integers(0, len(text) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != text[place]))
    with pytest.raises(AgonError) as caught:
        read_log(text[:place] + bytes([byte]) + text[place + 1 :], entries[-1].entry_digest)
    assert caught.value.code == "log_invalid"


@pytest.mark.parametrize("order", [[0, 2], [1, 0, 2], [0, 1], [0, 0, 1, 2], [1, 2], []])
def test_missing_and_moved_entries_are_seen(order: list[int]) -> None:
    entries = chained(["rules", "judge", "pool"])
    with pytest.raises(AgonError) as caught:
        read_log(published([entries[place] for place in order]), entries[2].entry_digest)
    assert caught.value.code == "log_invalid"


def test_round_uses_what_is_due_and_not_retired() -> None:
    entries = chained(["rules", "judge", "pool", "judge", "rules"])
    retire = LogEntry(
        seq=5,
        previous=entries[-1].entry_digest,
        kind="retire",
        digest=digest(1),
        from_round=RoundNumber(5),
    )
    entries.append(retire)
    assert in_force(entries, RoundNumber(-1)) == InForce(None, (), ())
    assert in_force(entries, RoundNumber(3)) == InForce(digest(0), (digest(1), digest(3)), (digest(2),))
    assert in_force(entries, RoundNumber(5)) == InForce(digest(4), (digest(3),), (digest(2),))


def test_damaged_file_of_our_own_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(published(chained(["rules", "pool"]))[:-20])
    with pytest.raises(AgonError) as caught:
        GovernanceLog(path)
    assert caught.value.code == "log_invalid"
