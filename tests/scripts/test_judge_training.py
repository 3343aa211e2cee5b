"""Judges: corruptions do what they say, and a trained judge knows more than length."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.demo.judges import (
    HELD_OUT_MIX,
    PROXY_MIX,
    BaseCompletion,
    JudgeRecipe,
    corrupt,
    rate_judge,
    train_judge,
)
from shared.errors import AgonError
from tests.fixtures.tiny import Ask

pytestmark = pytest.mark.torch

ANSWERS = [
    BaseCompletion("What is a lantern?", "A lantern is a lamp that you can carry."),
    BaseCompletion("What is a river?", "A river is water that finds the sea."),
    BaseCompletion("What is honey?", "Honey is sweet."),
]


def test_every_pair_sets_a_completion_against_damage_of_the_stated_kind() -> None:
    pairs = corrupt(ANSWERS, PROXY_MIX, seed=1, per_answer=40)
    assert {pair.source for pair in pairs} == set(PROXY_MIX.weights)
    for pair in pairs:
        assert BaseCompletion(pair.prompt, pair.chosen) in ANSWERS[:2], "short answers are left out"
        if pair.source == "swapped":
            assert pair.rejected in {answer.text for answer in ANSWERS} - {pair.chosen}
        elif pair.source == "truncated":
            assert pair.chosen.startswith(pair.rejected) and len(pair.rejected) < len(pair.chosen)
        elif pair.source == "padded":
            assert pair.rejected.startswith(pair.chosen) and any(
                part in pair.rejected for part in PROXY_MIX.filler
            )
        else:
            words = pair.rejected.split()
            assert len(set(words)) < len(words) and set(words) <= set(pair.chosen.split())


def test_the_same_seed_damages_alike_and_another_does_not() -> None:
    assert corrupt(ANSWERS, PROXY_MIX, seed=1) == corrupt(ANSWERS, PROXY_MIX, seed=1)
    assert corrupt(ANSWERS, PROXY_MIX, seed=1) != corrupt(ANSWERS, PROXY_MIX, seed=2)


def test_too_few_completions_are_refused() -> None:
    with pytest.raises(AgonError, match="too few"):
        corrupt(ANSWERS[2:], PROXY_MIX, seed=1)


def test_a_judge_beats_the_length_baseline_on_foreign_prompts_and_damage(
    tiny_trunk: Path, ask: Ask, tmp_path: Path
) -> None:
    pairs = corrupt(ask("proxy", 96), PROXY_MIX, seed=1)
    judge = train_judge(tiny_trunk, pairs, tmp_path / "judge", 1, JudgeRecipe(learning_rate=1e-2))
    accuracy = rate_judge(judge, corrupt(ask("judge", 96), HELD_OUT_MIX, seed=2))
    assert accuracy.useful
    assert accuracy.judge > accuracy.length + 0.1


def test_a_seed_fixes_the_judge(tiny_trunk: Path, tmp_path: Path) -> None:
    pairs = corrupt(ANSWERS, PROXY_MIX, seed=1)
    digests = [
        (train_judge(tiny_trunk, pairs, tmp_path / str(run), seed) / "model.safetensors").read_bytes()
        for run, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]
