"""The unattended loop against a real validator: it dethrones the base, and backs off where it cannot.

Chain, validator, API, training, scoring, payment and submission are the real ones; only the models are
tiny, and blocks are made by the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import bittensor as bt
import pytest

from miner.run.context import Limits, RunContext, open_run_context
from miner.run.driver import resume
from miner.run.process import ScoreInChild
from miner.run.state import RunState
from miner.status.explain import explain
from shared.chain.connect import connect
from shared.chain.records import RAO
from shared.chain.wallets import hotkey_of
from shared.checkpoints.bundle import read_prompts, write_public_copy
from validator.ledger.tables import SubmissionRow
from validator.loop import run_once

Serving = Callable[[str], AbstractContextManager[str]]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.torch]


@asynccontextmanager
async def validating(arena: Any) -> AsyncIterator[None]:
    """A validator at work, and blocks that go on unless somebody is about to publish."""

    async def work() -> None:
        async with arena.context() as context:
            while True:
                await run_once(context)
                due = [row for row in await arena.all_of(context, SubmissionRow) if row.state == "slotted"]
                places = [arena.settings.store / row.locator.removeprefix("file:") for row in due]
                if all((place / "manifest.json").exists() for place in places):
                    arena.advance(4)
                await asyncio.sleep(0.5)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


def new_miner(arena: Any, tiny_judge: Path, role: str) -> Any:
    """Settings of a miner with a fresh, unregistered hotkey of a funded coldkey."""
    wallet = bt.Wallet(role, "fresh", str(arena.root / "wallets"))
    wallet.create_new_hotkey(use_password=False, suppress=True)
    public = arena.root / "public"
    if not public.exists():
        write_public_copy(arena.root / "bundle", public)
        shutil.copytree(tiny_judge, public / "public" / "proxy")
    changes = {"wallet": role, "wallet_hotkey": "fresh", "bundle": public, "state": arena.root / role}
    return arena.settings.model_copy(update=changes)


def shop_of(settings: Any, api: str, train: Any, talk: Callable[[str], None], **limits: Any) -> RunContext:
    given = {"min_chance": 0.5, "max_cost_tao": Decimal(50), "rest_blocks": 4, "poll_s": 0.2} | limits
    score = ScoreInChild(settings, api, prompts=256, judges=None)
    return open_run_context(settings, api, None, Limits(**given), train=train, score=score, talk=talk)


def test_the_loop_dethrones_the_base_and_backs_off_when_it_cannot(
    *, arena: Any, tiny_base: Path, tiny_judge: Path, tmp_path: Path, tuning: Any, serving: Serving
) -> None:
    seeds: list[tuple[Path, int, int]] = []

    async def train(start: Path, target: Path, *, seed: int, failures: int) -> None:
        seeds.append((start, seed, failures))
        made = tmp_path / f"{target.parent.parent.parent.name}-{seed}-{len(seeds)}"
        await asyncio.to_thread(tuning, tiny_base, made, "{Thing} is a good thing to have.", seed)
        made.rename(target)

    said: list[str] = []

    async def play() -> tuple[RunState, RunState, Any]:
        winner, later = (new_miner(arena, tiny_judge, role) for role in ("first", "second"))
        async with validating(arena):
            with serving(arena.settings.ledger_url) as api:
                won = await resume(shop_of(winner, api, train, said.append, attempts=1, seed=5))
                found = await explain(winner, api, won.hotkey)
                lost = await resume(shop_of(later, api, train, said.append, attempts=2, seed=5))
        return won, lost, found

    won, lost, found = asyncio.run(play())
    print("\n".join(said))
    base = arena.bundle.base
    assert (won.crowns, won.ended, won.failures, won.step, won.payment) == (1, 1, 0, "watching", None)
    assert won.attempt is not None
    assert won.attempt.chance is not None
    assert won.attempt.chance >= 0.5
    assert 0 < won.spent_rao <= 50 * RAO
    assert seeds[0] == (arena.root / "public" / "base", 5, 0)
    assert found.proofs[0].model_dump() == {
        "round": found.proofs[0].round,
        "author": arena.hotkey("validator"),
        "permit": True,
        "outcome": "won",
        "commit_block": won.attempt.commit_block,
    }
    assert found.earnings.gain > 0
    # the second trains from the champion, finds no chance, and neither pays nor commits
    assert (lost.crowns, lost.ended, lost.failures, lost.step) == (0, 2, 2, "resting")
    assert (lost.spent_rao, lost.payment) == (0, None)
    assert [(seed, failures) for _, seed, failures in seeds[1:]] == [(5, 0), (6, 1)]
    assert all(start not in {base, arena.root / "public" / "base"} for start, _, _ in seeds[1:])
    assert "below 0.5" in lost.reason
    assert asyncio.run(commitment(arena, "second")) is None


async def commitment(arena: Any, role: str) -> Any:
    hotkey = hotkey_of(bt.Wallet(role, "fresh", str(arena.root / "wallets")))
    async with connect(arena.settings) as chain:
        return await chain.commitment_of(arena.netuid, hotkey)


def test_the_command_dethrones_the_base_with_a_recipe(
    arena: Any, tiny_judge: Path, tmp_path: Path, serving: Serving
) -> None:
    """`agon-miner run --recipe sft` as a process of its own, with all that it starts."""
    miner = new_miner(arena, tiny_judge, "first")
    rows = [
        {"prompt": prompt.text, "completion": f"A {prompt.id.rsplit('-', 1)[1]} is a good thing to have."}
        for prompt in read_prompts(miner.bundle / "public" / "prompts.jsonl")
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = tmp_path / "sft.toml"
    settings = ("learning_rate = 2e-3", "threads = 1", "lora_rank = 0", "epochs = 5", "batch = 16")
    config.write_text("\n".join([f'chats = "{tmp_path / "chats.jsonl"}"', *settings]))
    env = {
        "BT_NETWORK": "embedded",
        "BT_WALLET": miner.wallet,
        "BT_WALLET_HOTKEY": miner.wallet_hotkey,
        "BT_WALLET_PATH": str(miner.wallet_path),
        "AGON_LOCALNET": str(miner.localnet),
        "AGON_NETUID": str(miner.netuid),
        "AGON_STATE": str(miner.state),
        "AGON_STORE": str(miner.store),
        "AGON_BUNDLE": str(miner.bundle),
    }
    line = ["run", "--recipe", "sft", "--config", str(config), "--max-cost", "1", "--attempts", "1", "--json"]

    async def play() -> tuple[int | None, bytes]:
        async with validating(arena):
            with serving(arena.settings.ledger_url) as api:
                child = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", "from miner.cli.main import app; app()", *line, "--api", api),
                    *("--poll", "1"),
                    env={**os.environ, **env},
                    stdout=asyncio.subprocess.PIPE,
                )
                printed, _ = await child.communicate()
        return child.returncode, printed

    code, printed = asyncio.run(play())
    assert code == 0, printed
    state = RunState.model_validate_json(printed)
    assert (state.crowns, state.ended, state.step) == (1, 1, "watching"), state
    made = miner.state / "run" / "attempts" / "0001" / "checkpoint"
    report = json.loads((made / "report.json").read_bytes())
    assert report["recipe"] == "sft"
    assert 0 < state.spent_rao <= RAO
