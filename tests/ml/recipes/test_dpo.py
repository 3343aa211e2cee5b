"""The DPO recipe: it raises its own objective on prompts it never saw, and writes a checkpoint that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from miner.train.dpo import DpoConfig, Ranked, TrainingTask, best_and_worst, rank_answers, train_dpo
from shared.errors import AgonError
from shared.evaluation.pools import load_prompt_source, make_pool
from shared.models.competition import Sampling
from shared.models.prompt import Prompt
from shared.types import PromptId, SliceName

CONFIG = DpoConfig(learning_rate=1.5e-3, threads=1)
LAMP = Prompt(id=PromptId("p"), slice=SliceName("instruct"), cluster="c", text="What is a lamp?")


@pytest.fixture
def task(tiny_base: Path, tiny_proxy: Path, rules: Sampling) -> TrainingTask:
    return TrainingTask(
        base=tiny_base,
        prompts=prompts("public"),
        verifiers={SliceName("constraints"): "word-limit-1"},
        proxy=tiny_proxy,
        sampling=rules,
    )


def prompts(purpose: str) -> list[Prompt]:
    source = load_prompt_source()
    return [prompt for name in source.slices for prompt in make_pool(source, name, purpose, 60)]


def answer(value: float, *, sound: bool = True) -> Ranked:
    return Ranked(LAMP, (1,), (2,), sound, value)


def test_training_raises_the_objective_on_unseen_prompts(task: TrainingTask, tmp_path: Path) -> None:
    report = train_dpo(task, tmp_path / "better", CONFIG)
    assert report.loss_last < report.loss_first
    unseen, draw = replace(task, prompts=prompts("reference")), CONFIG.model_copy(update={"seed": 9})
    before = rank_answers(unseen, draw)
    after = rank_answers(replace(unseen, start=tmp_path / "better"), draw)
    assert sum(row.value for row in after) > sum(row.value for row in before) + 0.1 * len(before)


def test_a_checkpoint_has_the_tensors_of_the_base(task: TrainingTask, tmp_path: Path) -> None:
    train_dpo(task, tmp_path / "out", CONFIG.model_copy(update={"prompts": 16}))
    with (
        safe_open(tmp_path / "out" / "model.safetensors", "pt") as ours,
        safe_open(task.base / "model.safetensors", "pt") as theirs,
    ):
        assert set(ours.keys()) == set(theirs.keys())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_pairs_need_a_sound_best_and_a_clear_margin() -> None:
    clear = [answer(0.2), answer(1.4), answer(0.8)]
    assert best_and_worst(clear, 0.5) == [(clear[1], clear[0])]
    assert best_and_worst([answer(0.2), answer(0.6)], 0.5) == []
    assert best_and_worst([answer(0.2), answer(1.4, sound=False)], 0.5) == []


def test_too_few_prompts_are_refused(task: TrainingTask, tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="80 prompts are wanted, 2 are there"):
        train_dpo(replace(task, prompts=[LAMP, LAMP]), tmp_path / "out", CONFIG)
    assert list(tmp_path.iterdir()) == []
