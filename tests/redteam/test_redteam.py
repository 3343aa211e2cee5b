"""A red team that must lose and honest miners that must win, each a real checkpoint run to its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.duels.scorer import Job
from shared.errors import Rejection
from shared.types import Digest
from tests.redteam import honest, judge_attacks, roster, text_attacks, weight_attacks
from tests.redteam.world import SEED, World

# the world is built inside the first test of a process
pytestmark = [pytest.mark.timeout(1200), pytest.mark.torch]


@pytest.mark.parametrize("name", roster.TEXT)
def test_text_that_is_meant_to_please_a_scorer_earns_nothing(name: str, world: World, tmp_path: Path) -> None:
    assert world.fight(text_attacks.build(name, world, tmp_path / "made")).end in roster.TEXT[name].ends


@pytest.mark.parametrize("name", roster.JUDGES)
def test_knowing_one_judge_by_heart_earns_nothing(name: str, world: World, tmp_path: Path) -> None:
    assert world.fight(judge_attacks.build(name, world, tmp_path / "made")).end in roster.JUDGES[name].ends


@pytest.mark.parametrize("name", roster.WEIGHTS)
def test_edited_tensors_earn_nothing(name: str, world: World, tmp_path: Path) -> None:
    assert world.fight(weight_attacks.build(name, world, tmp_path / "made")).end in roster.WEIGHTS[name].ends


@pytest.mark.parametrize("name", roster.HONEST)
def test_true_progress_wins(name: str, world: World, tmp_path: Path) -> None:
    fight = world.fight(honest.RECIPES[name](world, tmp_path / "made"))
    assert fight.end in roster.HONEST[name].ends
    assert fight.verdict is not None
    assert fight.verdict.gain > world.rules.duel.margin


def test_a_policy_that_overflows_only_at_length_is_refused_in_its_duel_too(
    world: World, tmp_path: Path
) -> None:
    weights = weight_attacks.build("NaN only at length", world, tmp_path / "made")
    prompts = [prompt for block in world.drawn[:16] for prompt in block]
    jobs = [Job(prompt, world.seeds[0][prompt.id][0]) for prompt in prompts]
    base = world.scorer.evaluate(world.base, jobs)
    short = [
        job
        for job, sample in zip(jobs, base, strict=True)
        if weight_attacks.LATE_WORD not in sample.completion.text
    ]
    assert 0 < len(short) < len(jobs)
    sound = world.scorer.evaluate(weights, short[:8])
    assert all(sample.completion.token_ids for sample in sound)
    with pytest.raises(Rejection, match="non_finite_policy"):
        world.duel(weights, Digest(SEED))


def test_the_page_shows_the_roster() -> None:
    text = roster.PAGE.read_text(encoding="utf-8")
    assert roster.render(text) == text, "run `python -m tests.redteam.roster`"
    assert roster.table() in text
