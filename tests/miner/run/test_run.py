"""The loop's journal and driver: rests double, outages are waited for, and SIGTERM ends it cleanly."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from miner.run import driver
from miner.run.context import Limits, RunContext, default_locator
from miner.run.process import run_child
from miner.run.state import RunState
from shared.checkpoints.bundle import load_bundle
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.api import Champion, Leaderboard

ZERO, ONE = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def fresh(**changes: Any) -> RunState:
    plain = {"genesis": "0x00", "netuid": 1, "hotkey": "5H", "competition": ZERO}
    return RunState.model_validate(plain | changes)


def test_rests_double_and_another_champion_ends_the_count() -> None:
    state, rests = fresh(), []
    for _ in range(8):
        state = state.begin(ZERO, seed=10).fail("no", head=100, rest_blocks=4)
        rests.append(state.rest_until_block - 100)
    assert rests == [4, 8, 16, 32, 64, 128, 128, 128]
    assert (state.attempts, state.ended, state.failures) == (8, 8, 8)
    again = state.begin(ONE, seed=10)
    assert (again.failures, again.attempt and again.attempt.seed) == (0, 18)
    crowned = again.crown()
    assert (crowned.failures, crowned.crowns, crowned.step) == (0, 1, "watching")


@pytest.fixture
def open_run_context(world: Any, api: Any) -> Any:
    """`open_run_context(train)` of a registered miner whose validator answers what the test serves."""

    def make(train: Any, **limits: Any) -> RunContext:
        settings = world.settings.model_copy(update={"netuid": 1})

        async def never(checkpoint: Path) -> Any:
            raise AssertionError("nothing was made to score")

        return RunContext(
            settings=settings,
            bundle=load_bundle(world.root / "bundle", public=True),
            api=api.url,
            hotkey=world.hotkey,
            netuid=settings.require_netuid(),
            locator="file:x",
            limits=Limits(
                **({"min_chance": 0.5, "max_cost_tao": Decimal(0), "rest_blocks": 3, "poll_s": 0.01} | limits)
            ),
            train=train,
            score=never,
            talk=said.append,
        )

    said: list[str] = []
    make.said = said  # type: ignore[attr-defined]
    return make


def serve_champion(api: Any, rules: Any, hotkey: str | None = None) -> None:
    champion = Champion(model=rules.base.digest, hotkey=hotkey, from_round=0, rounds=0)
    board = Leaderboard(
        competition=rules.digest, round=None, champion=champion, standings=(), remainder=None, weights=None
    )
    api.answers["/v1/leaderboard"] = (200, board.model_dump(mode="json"))


def test_outages_are_waited_for_and_a_hopeless_training_is_rested_after(
    world: Any, api: Any, open_run_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    async def train(start: Path, target: Path, *, seed: int, failures: int) -> None:
        calls.append((seed, failures))
        assert start == world.root / "bundle" / "base"
        if len(calls) == 1:
            raise TransientError("child_failed", "killed")
        raise AgonError("training_failed", "the loss is not finite")

    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:  # the validator is up by now
            serve_champion(api, world.rules)

    monkeypatch.setattr(driver.asyncio, "sleep", wait)
    state = asyncio.run(driver.resume(open_run_context(train, attempts=1, poll_s=60.0)))
    assert (state.step, state.failures, state.ended) == ("resting", 1, 1)
    assert state.reason == "training_failed: the loss is not finite"
    assert calls == [(0, 0), (0, 0)]
    assert waits == [2.0, 4.0, 2.0]  # two without a champion, then one for the killed child
    assert state.rest_until_block == world.head() + 3
    path = world.settings.state / "run" / f"{world.hotkey}.json"
    assert RunState.model_validate_json(path.read_bytes()) == state


def test_our_own_champion_is_left_alone(world: Any, api: Any, open_run_context: Any) -> None:
    from miner.run.steps import take_step

    serve_champion(api, world.rules, hotkey=world.hotkey)
    state = fresh()
    assert asyncio.run(take_step(open_run_context(None), state)) == state


def test_a_fault_of_the_owner_s_ends_the_loop(world: Any, api: Any, open_run_context: Any) -> None:
    async def train(start: Path, target: Path, *, seed: int, failures: int) -> None:
        raise AgonError("settings_invalid", "no such field")

    serve_champion(api, world.rules)
    with pytest.raises(AgonError) as caught:
        asyncio.run(driver.resume(open_run_context(train)))
    assert caught.value.code == "settings_invalid"


@pytest.mark.parametrize(
    ("printed", "code", "kind"),
    [
        ({"error": {"code": "training_failed", "message": "m", "help": "h"}}, "training_failed", AgonError),
        ({"error": {"code": "non_finite_policy", "message": "m"}}, "non_finite_policy", Rejection),
        ({"error": {"code": "api_unreachable", "message": "m"}}, "api_unreachable", TransientError),
        ({"findings": [{"code": "duplicate", "message": "m"}]}, "duplicate", Rejection),
        ({"error": {"code": "of another version"}}, "child_failed", TransientError),
        ({}, "child_failed", TransientError),
    ],
)
def test_a_child_s_error_is_ours(tmp_path: Path, printed: Any, code: str, kind: type[AgonError]) -> None:
    program = f"import sys; print({json.dumps(json.dumps(printed))}); sys.exit(1)"
    with pytest.raises(kind) as caught:
        asyncio.run(run_child("-c", program, log=tmp_path / "log"))
    assert caught.value.code == code


def test_a_cancelled_child_is_gone(tmp_path: Path) -> None:
    program = (
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )

    async def play() -> None:
        task = asyncio.create_task(run_child("-c", program, log=tmp_path / "log"))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_other_networks_need_a_locator(world: Any) -> None:
    assert default_locator(world.settings, world.hotkey) == f"file:{world.hotkey[:16]}-{{attempt}}"
    with pytest.raises(AgonError) as caught:
        default_locator(world.settings.model_copy(update={"network": "finney"}), world.hotkey)
    assert caught.value.code == "usage"


def test_sigterm_ends_the_command_cleanly(world: Any) -> None:
    """The validator never answers; the loop waits until it is told to stop."""
    line = [
        sys.executable,
        "-c",
        "from miner.cli.main import app; app()",
        "run",
        "--api",
        "http://127.0.0.1:1",
    ]
    child = subprocess.Popen(
        [*line, "--json"],
        env=world.env | {"PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    first = next(line for line in child.stderr if "api_unreachable" in line)
    child.send_signal(signal.SIGTERM)
    printed, said = child.communicate(timeout=60)
    assert (child.returncode, json.loads(printed)) == (0, {"stopped": True})
    assert "trying again" in first
    assert "stopped" in said
    assert (world.settings.state / "run" / f"{world.hotkey}.json").exists()
