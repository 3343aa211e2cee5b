"""How much a checkpoint gained: the recipe's own objective on prompts that it never saw, and KL to the base.

Runs after training when prompts were held out, in tests and in benchmarks. The frame is the parent's, so
the difference is paired by prompt. It says nothing about held-out judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from miner.train.completions import (
    GATED_PERCENTILE,
    DrawnCompletion,
    by_prompt,
    draw_completions,
    fit_frame,
    value_of,
)
from miner.train.report import Gain, paired_gain
from miner.train.task import TrainingTask
from shared.engines.hf import load_policy
from shared.engines.sampler import score_tokens
from shared.protocol.prompt import Prompt

SAMPLES = 2


@dataclass(frozen=True)
class Measured:
    """A checkpoint against the one that its training started from."""

    gain: Gain
    kl: float
    """Nats per completion to the base, on the checkpoint's own completions."""


def measure(
    task: TrainingTask, after: Path, prompts: Sequence[Prompt], *, seed: int, samples: int = SAMPLES
) -> Measured:
    """Paired gain in value of the checkpoint at `after` over the task's parent, per prompt."""
    old = draw_completions(task, prompts, samples, seed=seed)
    new = draw_completions(task, prompts, samples, seed=seed, checkpoint=after)
    frame = fit_frame(old, GATED_PERCENTILE)

    def values(completions: Sequence[DrawnCompletion]) -> list[float]:
        groups = by_prompt(completions, lambda completion: value_of(completion, frame, task.verifiers))
        return [
            math.fsum(value_of(completion, frame, task.verifiers) for completion in group) / len(group)
            for group in groups
        ]

    return Measured(paired_gain(values(old), values(new)), _kl(task, new))


def _kl(task: TrainingTask, completions: Sequence[DrawnCompletion]) -> float:
    """Mean over completions of log p(own) - log p(base), summed over tokens: the k1 estimate of KL."""
    pairs = [(completion.prompt_ids, completion.token_ids) for completion in completions]
    base = score_tokens(load_policy(task.base), pairs, task.sampling)
    own = [completion.logprob * len(completion.token_ids) for completion in completions]
    return math.fsum(mine - math.fsum(row) for mine, row in zip(own, base, strict=True)) / len(own)
