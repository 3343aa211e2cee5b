"""RAFT: sample n completions, keep the best one to each prompt, learn it by fine-tuning (Dong et al. 2023).

The cheap baseline: no pairs, no reference model, no rollouts while training. It moves a policy less far
than `dpo` or `grpo`, and it is hard to break.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from miner.train.completions import (
    DrawnCompletion,
    by_prompt,
    choose_prompts,
    draw_completions,
    fit_frame,
    is_sound,
    value_of,
)
from miner.train.data import IGNORED, Rendered
from miner.train.report import Outcome
from miner.train.settings import TrainConfig
from miner.train.sft import sft_trainer
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace
from shared.errors import AgonError


class RaftConfig(TrainConfig):
    """Settings of `raft`."""

    prompts: int = Field(default=80, ge=2)
    """Public prompts to sample in each iteration, shared evenly by the slices."""
    samples: int = Field(default=4, ge=2)
    """Completions per prompt; the best one is learned."""
    iterations: int = Field(default=1, ge=1)
    """Rounds of sampling and training."""
    epochs: int = Field(default=2, ge=1)
    """Passes over the best completions."""
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    """Peak of the cosine schedule."""


def run_raft(task: TrainingTask, config: RaftConfig, space: Workspace) -> Outcome:
    """Sample, keep the best, learn it. Raises AgonError `data_invalid` when no completion is sound."""
    kept = drawn = 0
    for turn in range(1, config.iterations + 1):
        completions = _sample(task, config, space, turn)
        best = best_answers(completions, task)
        task = replace(task, start=_learn(task, config, space, turn, best))
        kept, drawn = kept + len(best), drawn + sum(len(completion.token_ids) for completion in completions)
    return Outcome(task.parent, {"answers_kept": kept}, drawn)


def best_answers(completions: Sequence[DrawnCompletion], task: TrainingTask) -> list[DrawnCompletion]:
    """The best completion to each prompt, where it is sound."""
    frame = fit_frame(completions)
    groups = by_prompt(completions, lambda completion: value_of(completion, frame, task.verifiers))
    best = [group[-1] for group in groups if is_sound(group[-1], frame)]
    if not best:
        raise AgonError("data_invalid", f"none of {len(completions)} completions is sound")
    return best


def as_row(completion: DrawnCompletion) -> Rendered:
    """A completion as a row to learn: its own tokens after a prompt that is not learned."""
    prompt, own = list(completion.prompt_ids), list(completion.token_ids)
    return Rendered(prompt + own, [IGNORED] * len(prompt) + own)


def _sample(task: TrainingTask, config: RaftConfig, space: Workspace, turn: int) -> list[DrawnCompletion]:
    prompts = choose_prompts(task.prompts, config.prompts)

    def draw() -> list[dict[str, Any]]:
        space.talk(f"sampling {len(prompts) * config.samples} completions")
        completions = draw_completions(task, prompts, config.samples, seed=config.seed + turn)
        return [completion.model_dump(mode="json") for completion in completions]

    return [DrawnCompletion.model_validate(row) for row in space.file(f"answers-{turn}", draw)]


def _learn(
    task: TrainingTask, config: RaftConfig, space: Workspace, turn: int, best: Sequence[DrawnCompletion]
) -> Path:
    def build(parts: Parts) -> Any:
        return sft_trainer(parts, [as_row(completion) for completion in best])

    return train_policy(space, f"raft-{turn}", config, task, build)
