"""How much a checkpoint gained: the recipe's own objective on prompts that it never saw, and KL to the base.

Runs after training when prompts were held out, in tests and in benchmarks. The frame is the parent's, so
the difference is paired by prompt. It says nothing about held-out judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from miner.train.answers import GATED_PERCENTILE, Answer, by_prompt, draw_answers, fit_frame, value_of
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
    old = draw_answers(task, prompts, samples, seed=seed)
    new = draw_answers(task, prompts, samples, seed=seed, weights=after)
    frame = fit_frame(old, GATED_PERCENTILE)

    def values(answers: Sequence[Answer]) -> list[float]:
        groups = by_prompt(answers, lambda answer: value_of(answer, frame, task.verifiers))
        return [
            math.fsum(value_of(answer, frame, task.verifiers) for answer in group) / len(group)
            for group in groups
        ]

    return Measured(paired_gain(values(old), values(new)), _kl(task, new))


def _kl(task: TrainingTask, answers: Sequence[Answer]) -> float:
    """Mean over completions of log p(own) - log p(base), summed over tokens: the k1 estimate of KL."""
    pairs = [(answer.prompt_ids, answer.token_ids) for answer in answers]
    base = score_tokens(load_policy(task.base), pairs, task.sampling)
    own = [answer.logprob * len(answer.token_ids) for answer in answers]
    return math.fsum(mine - math.fsum(row) for mine, row in zip(own, base, strict=True)) / len(own)
