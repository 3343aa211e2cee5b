"""A run killed before or after any save goes on to one registration, one commitment and one crown."""

from __future__ import annotations

import asyncio
import random
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from miner.dry_run.score import Score
from miner.run import budget, context, driver
from miner.run.context import Limits, RunContext
from miner.run.state import RunState, load_state, save_state, state_path
from shared.chain.commitment import commitment_digest
from shared.chain.connect import connect
from shared.chain.records import RAO
from shared.chain.wallets import coldkey_of, open_wallet
from shared.checkpoints.bundle import load_bundle
from shared.checkpoints.manifest import load_manifest
from shared.protocol.api import Champion, Leaderboard, RecordView, SubmissionPage, SubmissionView

ZERO = "sha256:" + "0" * 64


class Killed(BaseException):
    """The process is gone."""


def foreseen(checkpoint: Path) -> Score:
    numbers = dict.fromkeys(("mean", "lower", "upper", "win_rate", "s_checkpoint", "s_opponent", "kl"), 0.1)
    more = {"kl_budget": 30.0, "extra_tokens": 0.0, "alpha": 0.01, "chance": 0.9, "chance_first": 0.9}
    return Score.model_validate(
        {
            **numbers, **more, "checkpoint": ZERO, "against": "champion", "opponent": ZERO, "judges": (),
            "prompts": 8, "slices": (), "gates": {}, "opponent_gates": {}, "verdict": None, "trial": 1,
            "slots": 1, "conditions": "", "chance_error": 0.0, "rounds": 1, "prompts_to_win": 8, "ends": {},
        }
    )  # fmt: skip


@pytest.fixture
def miner(make_world: Any, api: Any) -> RunContext:
    """An unregistered miner on a chain that makes blocks by itself, whose first submission wins."""
    world = make_world(block_time_s=0.02, registered=False)
    settings = world.settings.model_copy(update={"netuid": 1, "bundle": world.root / "bundle"})
    manifest = load_manifest(world.package)
    digest = commitment_digest(world.rules.digest, manifest.digest, world.hotkey)

    async def train(start: Path, target: Path, *, seed: int, failures: int) -> None:
        shutil.copytree(world.checkpoint, target)

    async def score(checkpoint: Path) -> Score:
        return foreseen(checkpoint)

    def champion() -> tuple[int, Any]:
        reigning = Champion(model=world.rules.base.digest, hotkey=None, from_round=0, rounds=0)
        board = Leaderboard(
            competition=world.rules.digest, round=None, champion=reigning, standings=(), remainder=None,
            weights=None,
        )  # fmt: skip
        return 200, board.model_dump(mode="json")

    def submissions() -> tuple[int, Any]:
        return 200, asyncio.run(_won(settings, world, digest)).model_dump(mode="json")

    api.answers.update({"/v1/leaderboard": champion, f"/v1/submissions/{digest}": submissions})
    limits = Limits(0.5, Decimal(1), 3, 0.01, attempts=1)
    return RunContext(
        settings=settings,
        bundle=load_bundle(world.root / "bundle", public=True),
        api=api.url,
        hotkey=world.hotkey,
        netuid=settings.require_netuid(),
        locator="file:run-{attempt}",
        limits=limits,
        train=train,
        score=score,
        talk=lambda _: None,
    )


async def _won(settings: Any, world: Any, digest: str) -> SubmissionPage:
    """What a validator says of the commitment that is on chain: it got a slot and won."""
    async with connect(settings) as chain:
        record = await chain.commitment_of(settings.require_netuid(), world.hotkey)
    assert record is not None
    number = world.rules.schedule.round_at(record.block)
    record_won = RecordView(duel="ab", model=ZERO, round=number, gain=0.1)
    item = {
        "hotkey": world.hotkey, "commit_block": record.block, "competition": world.rules.digest,
        "digest": digest, "model": ZERO, "locator": "file:run-1", "state": "settled", "seen_round": number,
        "round": number, "rank": 0, "fetch_until_block": None, "settled_round": number,
        "queue_position": None, "attempts": 0, "next_try_block": None, "problem": None, "duels": [],
        "record": record_won, "explanation": "won and crowned", "to_win": None,
    }  # fmt: skip
    return SubmissionPage(items=(SubmissionView.model_validate(item),), next_cursor=None)


def test_a_run_killed_at_any_save_ends_the_same(miner: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    before, kills, rng = balance_rao(miner), 0, random.Random(7)
    monkeypatch.setattr(budget, "LOST_AFTER_BLOCKS", 20)
    state: RunState | None = None
    while state is None:
        dying = _dying(at=rng.randint(1, 3), after_writing=rng.random() < 0.6)
        monkeypatch.setattr(context, "save_state", dying)
        try:
            state = asyncio.run(driver.resume(miner))
        except Killed:
            kills += 1
        assert kills < 40
    cost = before - balance_rao(miner)
    assert (state.crowns, state.ended, state.attempts, state.payment) == (1, 1, 1, None)
    assert 0 < cost <= state.spent_rao <= RAO
    assert kills >= 5
    assert commitments(miner) == 1
    path = state_path(miner.settings.state, miner.hotkey)
    assert load_state(path, state) == state


def _dying(*, at: int, after_writing: bool) -> Any:
    """A `save_state` that dies at its `at`-th call, the first that changes anything counting as one."""
    calls = [0]

    def save(path: Path, state: RunState) -> None:
        new = not path.exists() or RunState.model_validate_json(path.read_bytes()) != state
        calls[0] += new
        dies = new and calls[0] == at
        if not dies or after_writing:
            save_state(path, state)
        if dies:
            raise Killed

    return save


def balance_rao(miner: RunContext) -> int:
    async def read() -> int:
        async with connect(miner.settings) as chain:
            return int(await chain.balance_tao(coldkey_of(open_wallet(miner.settings))) * RAO)

    return asyncio.run(read())


def commitments(miner: RunContext) -> int:
    """Commitments ever made on this chain."""
    import json

    from localnet.chain import Chain

    chain = Chain(miner.settings.localnet)
    blocks = [chain.block(number) for number in range(chain.head() + 1)]
    chain.close()
    return sum("set_commitment" in json.dumps(block.extrinsics) for block in blocks if block)
