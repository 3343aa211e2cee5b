"""Completions of a policy and their value to a miner: drawn by the rules' sampler, judged by the proxy.

The value is what the rules reward: a completion that no gate stops, the verifier's score where a slice has
one, the proxy judge's opinion, and a likely wording. Recipes rank by it, and measure themselves by it on
held-out prompts; the frame that standardises it can be frozen, so that two policies are comparable.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from miner.train.task import TrainingTask
from shared.engines.hf import load_policy
from shared.engines.sampler import Request, sample
from shared.errors import AgonError
from shared.judging.families.reward_model import RewardModel
from shared.judging.gates import compresses, is_text, loops
from shared.judging.verifiers import verify
from shared.protocol.prompt import Prompt
from shared.types import SliceName

LIMIT = 2.0
"""In standard deviations: with the default coefficients, proxy judge and fluency move a value by at most 0.5
each. The judge is weak and easily gamed; without the fluency term, training drifts into completions that the
gate on likelihood stops."""
SHORTEST_PERCENTILE = 10.0
"""Completions below this percentile of the policy's own lengths count as bad in training, which overshoots
into completions too short; the rules gate the shortest `GATED_PERCENTILE`."""
GATED_PERCENTILE = 1.0


class DrawnCompletion(BaseModel, frozen=True):
    """One sampled completion and what the proxy judge and the policy itself say about it."""

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    text: str
    finished: bool
    reward: float
    """Raw reward of the proxy judge."""
    logprob: float
    """Mean over the tokens at the sampling temperature, nats."""


@dataclass(frozen=True)
class TermCoefficients:
    """What the terms of a value count."""

    opinion: float = 0.25
    fluency: float = 0.25
    verifier: float = 1.0


@dataclass(frozen=True)
class Frame:
    """Statistics of a set of completions, by slice, that values are standardised with."""

    opinions: Mapping[SliceName, tuple[float, float]]
    """Mean and standard deviation of the proxy's rewards."""
    fluency: Mapping[SliceName, tuple[float, float]]
    """Mean and standard deviation of the mean log-probabilities."""
    shortest: Mapping[SliceName, float]
    """Fewest tokens of a sound completion."""


def draw_completions(
    task: TrainingTask, prompts: Sequence[Prompt], samples: int, *, seed: int, checkpoint: Path | None = None
) -> list[DrawnCompletion]:
    """`samples` completions to each prompt by the policy at `checkpoint` (the task's start when unset)."""
    policy, rules = load_policy(task.base, checkpoint or task.start), task.sampling
    asked = [(prompt, index) for prompt in prompts for index in range(samples)]
    ids = {prompt.id: policy.render(prompt.text, rules.limits.prompt_tokens) for prompt in prompts}
    requests = [
        Request(ids[prompt.id], completion_seed(seed, prompt.id, str(index))) for prompt, index in asked
    ]
    drawn = sample(policy, requests, rules)
    texts = [policy.text(row.token_ids[:-1] if row.finished else row.token_ids) for row in drawn]
    rewards = RewardModel(task.proxy).reward(
        [(prompt.text, text) for (prompt, _), text in zip(asked, texts, strict=True)]
    )
    return [
        DrawnCompletion(
            prompt=prompt,
            prompt_ids=ids[prompt.id],
            token_ids=row.token_ids,
            text=text,
            finished=row.finished,
            reward=reward,
            logprob=sum(row.logprobs) / len(row.logprobs),
        )
        for (prompt, _), row, text, reward in zip(asked, drawn, texts, rewards, strict=True)
    ]


def choose_prompts(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` prompts in their given order, taken from the slices in turn.

    Raises AgonError `data_invalid` when there are fewer.
    """
    slices: dict[SliceName, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        slices[prompt.slice].append(prompt)
    longest = max(map(len, slices.values()), default=0)
    turns = [rows[turn] for turn in range(longest) for rows in slices.values() if turn < len(rows)]
    if len(turns) < count:
        raise AgonError("data_invalid", f"{count} prompts are wanted, {len(turns)} are there")
    return turns[:count]


def fit_frame(completions: Sequence[DrawnCompletion], shortest: float = SHORTEST_PERCENTILE) -> Frame:
    """The frame of these completions; those below the percentile `shortest` of the lengths are not sound."""
    slices: dict[SliceName, list[DrawnCompletion]] = defaultdict(list)
    for completion in completions:
        slices[completion.prompt.slice].append(completion)
    return Frame(
        opinions={name: _moments([row.reward for row in rows]) for name, rows in slices.items()},
        fluency={name: _moments([row.logprob for row in rows]) for name, rows in slices.items()},
        shortest={
            name: float(np.percentile([len(row.token_ids) for row in rows], shortest))
            for name, rows in slices.items()
        },
    )


def _moments(values: Sequence[float]) -> tuple[float, float]:
    found = np.asarray(values)
    return float(found.mean()), float(found.std()) or 1.0


def is_sound(completion: DrawnCompletion, frame: Frame) -> bool:
    """Whether no gate that needs only the completion itself would close."""
    return (
        completion.finished
        and len(completion.token_ids) >= frame.shortest[completion.prompt.slice]
        and is_text(completion.text)
        and not loops(completion.text)
        and not compresses(completion.text)
    )


def value_of(
    completion: DrawnCompletion,
    frame: Frame,
    verifiers: Mapping[SliceName, str],
    coefficients: TermCoefficients | None = None,
) -> float:
    """What a completion is worth: 1 for soundness, and the weighted terms."""
    counts, name = coefficients or TermCoefficients(), completion.prompt.slice
    sound = is_sound(completion, frame)
    value = (
        counts.opinion * _z(completion.reward, frame.opinions[name])
        + counts.fluency * _z(completion.logprob, frame.fluency[name])
        + sound
    )
    if sound and name in verifiers:
        value += counts.verifier * verify(verifiers[name], completion.text, completion.prompt.params)
    return value


def _z(value: float, moments: tuple[float, float]) -> float:
    mean, sd = moments
    return min(LIMIT, max(-LIMIT, (value - mean) / sd))


def by_prompt(
    completions: Sequence[DrawnCompletion], value: Callable[[DrawnCompletion], float]
) -> list[list[DrawnCompletion]]:
    """The completions to each prompt, worst first; prompts in the order of their first completion."""
    groups: dict[str, list[DrawnCompletion]] = defaultdict(list)
    for completion in completions:
        groups[completion.prompt.id].append(completion)
    return [sorted(group, key=value) for group in groups.values()]


def completion_seed(*parts: object) -> int:
    """A sampler seed of 53 bits."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11
