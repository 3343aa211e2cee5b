"""Blocks: when they are made, by whom, and that kills and pauses leave no trace."""

import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from localnet.chain import Chain
from localnet.genesis import Genesis, create_chain

PRODUCER = Path(__file__).with_name("producer_process.py")
ROOT = Path(__file__).parents[2]


class HandClock:
    """A clock that moves only when told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clocked(tmp_path) -> tuple[Chain, HandClock]:
    path = tmp_path / "chain.db"
    create_chain(path, Genesis.preset("dev", block_time_s=12))
    clock = HandClock(time.time() + 3600)
    chain = Chain(path, clock)
    chain.make_due_block()
    return chain, clock


def look(chain: Chain, times: int = 5) -> int:
    """Look often; how many blocks that made."""
    return sum(chain.make_due_block() for _ in range(times))


def test_one_block_per_interval(clocked):
    chain, clock = clocked
    made = []
    for step in (0, 11.9, 0.1, 11, 1, 12, 12):
        clock.now += step
        made.append(look(chain))
    assert made == [0, 0, 1, 0, 1, 1, 1]


def test_no_burst_after_a_pause(clocked):
    chain, clock = clocked
    clock.now += 100_000
    made = []
    for step in (0, 11, 1, 12):
        clock.now += step
        made.append(look(chain))
    assert made == [1, 0, 1, 1]


def test_a_late_look_keeps_the_rhythm(clocked):
    chain, clock = clocked
    start = chain.block(chain.head()).timestamp_ms
    for step in (15, 9, 12):
        clock.now += step
        assert look(chain) == 1
    stamps = [chain.block(number).timestamp_ms - start for number in range(2, 5)]
    assert stamps == [12_000, 24_000, 36_000]


def test_a_clock_set_back_does_not_stop_the_chain(clocked):
    chain, clock = clocked
    clock.now -= 50_000
    assert look(chain) == 1
    assert chain.block(2).timestamp_ms > chain.block(1).timestamp_ms


def test_advance_needs_no_clock_and_leaves_no_debt(clocked):
    chain, clock = clocked
    assert chain.advance(300) == 301
    assert look(chain) == 0
    clock.now += 12
    assert look(chain) == 1


def test_a_seed_repeats_the_hashes_and_chance_does_not(tmp_path):
    def hashes(name: str, seed: str | None) -> list[str]:
        path = tmp_path / name
        create_chain(path, Genesis.preset("dev", entropy_seed=seed))
        chain = Chain(path)
        chain.advance(3)
        return [chain.hash_of(number) for number in range(4)]

    assert hashes("a", "x") == hashes("b", "x") != hashes("c", "y")
    assert set(hashes("d", None)).isdisjoint(hashes("e", None))


def test_another_process_sees_the_same_chain(tmp_path):
    path = tmp_path / "chain.db"
    create_chain(path, Genesis.preset("dev", block_time_s=0))
    chain = Chain(path)
    program = "from localnet.cli import app; app()"
    command = [sys.executable, "-c", program, "advance", "3", "--path", str(path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    chain.advance(1)
    other = Chain(path)
    assert [chain.block(n) for n in range(5)] == [other.block(n) for n in range(5)]
    assert chain.head() == other.head() == 4


def test_blocks_stay_contiguous_while_producers_are_killed(tmp_path):
    """Three processes race for blocks of 20 ms; each is killed and replaced several times."""
    path = tmp_path / "chain.db"
    create_chain(path, Genesis.preset("dev", block_time_s=0.02))
    chain = Chain(path)

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(PRODUCER), str(path)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
        )

    producers = [spawn() for _ in range(3)]
    try:
        for kill in range(6):
            goal = chain.head() + 10
            while chain.head() < goal:
                assert any(p.poll() is None for p in producers)
                time.sleep(0.005)
            producers[kill % 3].kill()
            producers[kill % 3].wait()
            producers[kill % 3] = spawn()
    finally:
        for producer in producers:
            producer.kill()
            producer.wait()
    head = chain.head()
    blocks = [chain.block(number) for number in range(head + 1)]
    assert [b.number for b in blocks] == list(range(head + 1))
    assert [b.parent for b in blocks[1:]] == [b.hash for b in blocks[:-1]]
    assert all(b.timestamp_ms - a.timestamp_ms >= 20 for a, b in pairwise(blocks))
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_of_another_schema_is_refused(tmp_path):
    path = tmp_path / "chain.db"
    create_chain(path, Genesis.preset("dev"))
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value='0' WHERE key='schema'")
    db.commit()
    db.close()
    with pytest.raises(ValueError, match="another version"):
        Chain(path)
