"""`kill -9` at the worst moments: what a restart ends with is what an undisturbed run ends with."""

from __future__ import annotations

import asyncio
import os
import select as poll
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select

from localnet.chain import Chain
from shared.errors import AgonError
from validator.ledger.database import open_reader
from validator.ledger.tables import (
    CompletionRow,
    DuelPromptRow,
    DuelRow,
    RecordRow,
    ReignRow,
    RoundRow,
    StatementRow,
    SubmissionRow,
    WeightSetRow,
)
from validator.loop import run_once

pytestmark = [pytest.mark.slow, pytest.mark.torch]

SCRIPT = Path(__file__).with_name("stopping_validator.py")
PATIENCE_S = 120.0
COMPARED = (DuelPromptRow, DuelRow, CompletionRow, RecordRow, ReignRow, StatementRow, SubmissionRow, RoundRow)
LOCAL = {"created_block", "signature", "fetch_from"}
"""Columns that say when or by whom, not what."""
NEVER = ("no_transition", 1, "before")


@contextmanager
def validator(arena: Any, name: str, count: int, when: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real command in a process of its own, killed at the end if it still lives."""
    options = ["-n", "embedded", "-w", "validator", "--netuid", "1", "--wallet-path", arena.root / "wallets"]
    options += ["--bundle", arena.root / "bundle", "--state", arena.settings.state]
    command = [sys.executable, SCRIPT, name, str(count), when, "run", *options]
    files = {"AGON_LOCALNET": str(arena.settings.localnet), "AGON_STORE": str(arena.settings.store)}
    with (arena.root / "validator.log").open("ab") as log:
        process = subprocess.Popen(
            list(map(str, command)), env={**os.environ, **files}, cwd=arena.root, stderr=log, stdout=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(arena: Any, done: Any, *, wake: bool) -> None:
    """Wait for `done()`; with `wake`, seal a block now and then, so that the loop goes on."""
    limit = time.monotonic() + PATIENCE_S
    woken = time.monotonic()
    while not done():
        assert time.monotonic() < limit, (arena.root / "validator.log").read_text()[-3000:]
        if wake and time.monotonic() - woken > 1.0:
            arena.advance(1)
            woken = time.monotonic()
        poll.select([], [], [], 0.02)


def kill_at(arena: Any, name: str, count: int, when: str, *, wake: bool = False) -> None:
    """Run until the transition, kill -9, and see that its children die with it."""
    with validator(arena, name, count, when) as process:
        wait_until(arena, lambda: has_stopped(arena, process.pid), wake=wake)
        children = [os.pidfd_open(pid) for pid in children_of(process.pid)]
        process.send_signal(signal.SIGKILL)
    for child in children:
        gone, _, _ = poll.select([child], [], [], 10.0)
        os.close(child)
        assert gone, "a child outlived its validator"


def has_stopped(arena: Any, pid: int) -> bool:
    changed, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    assert changed == 0 or os.WIFSTOPPED(status), (arena.root / "validator.log").read_text()[-3000:]
    return changed == pid


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def rows(arena: Any, table: type[Any]) -> list[dict[str, Any]]:
    """All rows of a table, without what is local to a run."""
    names = [column.name for column in inspect(table).columns if column.name not in LOCAL]
    keys = inspect(table).primary_key
    try:
        reader = open_reader(arena.settings.ledger_url)
    except AgonError:
        return []
    try:
        found = reader.run(lambda session: list(session.scalars(select(table).order_by(*keys))))
    finally:
        reader.close()
    return [{name: getattr(row, name) for name in names} for row in found]


def of_round_0(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without later rounds, which close at other blocks here and there."""
    return [row for row in found if row.get("number", row.get("round", 0)) == 0]


def sent(arena: Any) -> int:
    """How often the chain took weights of ours."""
    chain = Chain(arena.settings.localnet)
    try:
        blocks = [chain.block(number) for number in range(chain.head() + 1)]
    finally:
        chain.close()
    return sum("WeightsSet" in repr(block.events) for block in blocks if block)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs process handles")
def test_a_validator_killed_again_and_again_ends_as_an_undisturbed_one(
    arena: Any, tmp_path: Path, better: Path, worse: Path
) -> None:
    asyncio.run(arena.submit("first", better))
    asyncio.run(arena.submit("second", worse))
    kill_at(arena, "plan_set", 1, "after")  # written down, never sent
    assert ([row["state"] for row in rows(arena, WeightSetRow)], sent(arena)) == (["planned"], 0)
    arena.advance(21)
    kill_at(arena, "mark_submitted", 1, "before", wake=True)  # sent, not noted
    assert ([row["state"] for row in rows(arena, WeightSetRow)], sent(arena)) == (["failed", "planned"], 1)

    arena.close_round(0)
    arena.advance(2)
    other = arena.copy(tmp_path / "undisturbed")
    shutil.rmtree(other.settings.state)
    kill_at(arena, "take_rows", 1, "after")  # in a duel
    (started,) = [row for row in rows(arena, DuelRow) if row["hotkey"] == arena.hotkey("first")]
    assert (started["verdict"], len(rows(arena, DuelPromptRow))) == (None, 16)
    kill_at(arena, "close_duel", 1, "before")  # confirmed, no verdict
    assert [row["verdict"] for row in rows(arena, DuelRow)] == [None, None]
    kill_at(arena, "settle_round", 1, "before", wake=True)  # all verdicts, no crown
    assert rows(arena, RecordRow) == []
    with validator(arena, *NEVER) as process:
        wait_until(arena, lambda: paid_to(arena, arena.hotkey("first")), wake=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 130

    asyncio.run(run_undisturbed(other))
    for table in COMPARED:
        assert of_round_0(rows(arena, table)) == of_round_0(rows(other, table)), table.__tablename__
    states = [row["state"] for row in rows(arena, WeightSetRow)]
    assert states == ["failed", "confirmed", "confirmed"]
    assert sent(arena) == 2


def paid_to(arena: Any, hotkey: str) -> bool:
    return any(row["state"] == "confirmed" and hotkey in row["vector"] for row in rows(arena, WeightSetRow))


async def run_undisturbed(arena: Any) -> None:
    async with arena.context() as context:
        await run_once(context)
