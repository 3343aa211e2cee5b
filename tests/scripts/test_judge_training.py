"""Judges: corruptions do what they say, and a trained judge knows more than length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.demo.judges import HELD_OUT_MIX, PROXY_MIX, Answer, corrupt, measure_judge, train_judge
from shared.competitions.pools import Purpose
from shared.errors import AgonError

ANSWERS = [
    Answer("What is a lantern?", "A lantern is a lamp that you can carry."),
    Answer("What is a river?", "A river is water that finds the sea."),
    Answer("What is honey?", "Honey is sweet."),
]
Ask = Callable[[Purpose, int], list[Answer]]


def test_every_pair_sets_an_answer_against_damage_of_the_stated_kind() -> None:
    pairs = corrupt(ANSWERS, PROXY_MIX, seed=1, per_answer=40)
    assert {pair.corruption for pair in pairs} == set(PROXY_MIX.weights)
    for pair in pairs:
        assert Answer(pair.prompt, pair.good) in ANSWERS[:2], "short answers are left out"
        if pair.corruption == "swapped":
            assert pair.bad in {answer.text for answer in ANSWERS} - {pair.good}
        elif pair.corruption == "truncated":
            assert pair.good.startswith(pair.bad) and len(pair.bad) < len(pair.good)
        elif pair.corruption == "padded":
            assert pair.bad.startswith(pair.good) and any(part in pair.bad for part in PROXY_MIX.filler)
        else:
            words = pair.bad.split()
            assert len(set(words)) < len(words) and set(words) <= set(pair.good.split())


def test_the_same_seed_damages_alike_and_another_does_not() -> None:
    assert corrupt(ANSWERS, PROXY_MIX, seed=1) == corrupt(ANSWERS, PROXY_MIX, seed=1)
    assert corrupt(ANSWERS, PROXY_MIX, seed=1) != corrupt(ANSWERS, PROXY_MIX, seed=2)


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(AgonError, match="too few"):
        corrupt(ANSWERS[2:], PROXY_MIX, seed=1)


def test_a_judge_beats_the_length_baseline_on_foreign_prompts_and_damage(tiny_proxy: Path, ask: Ask) -> None:
    accuracy = measure_judge(tiny_proxy, corrupt(ask("judge", 96), HELD_OUT_MIX, seed=2))
    assert accuracy.useful
    assert accuracy.judge > accuracy.length + 0.1


def test_a_seed_fixes_the_judge(tiny_trunk: Path, tmp_path: Path) -> None:
    pairs = corrupt(ANSWERS, PROXY_MIX, seed=1)
    digests = [
        (train_judge(tiny_trunk, pairs, tmp_path / str(run), seed) / "model.safetensors").read_bytes()
        for run, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]
