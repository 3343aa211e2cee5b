"""Answers of a policy and their value to a miner: drawn by the competition's sampler, judged by the proxy.

The value is what the rules reward: an answer that no gate stops, the verifier's score where a slice has
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
from shared.judging.gates import compresses, is_text, loops
from shared.judging.reward_model import RewardModel
from shared.judging.verifiers import verify
from shared.protocol.prompt import Prompt
from shared.types import SliceName

LIMIT = 2.0
"""In standard deviations: with the default weights, proxy judge and fluency move a value by at most 0.5
each. The judge is weak and easily gamed; without the fluency term, training drifts into answers that the
gate on likelihood stops."""
SHORTEST_PERCENTILE = 10.0
"""Answers below this percentile of the policy's own lengths count as bad in training, which overshoots into
answers too short; the rules gate the shortest `GATED_PERCENTILE`."""
GATED_PERCENTILE = 1.0


class Answer(BaseModel, frozen=True):
    """One sampled answer and what the proxy judge and the policy itself say about it."""

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
class Weights:
    """What the terms of a value count."""

    opinion: float = 0.25
    fluency: float = 0.25
    verifier: float = 1.0


@dataclass(frozen=True)
class Frame:
    """Statistics of a set of answers, by slice, that values are standardised with."""

    opinions: Mapping[SliceName, tuple[float, float]]
    """Mean and standard deviation of the proxy's rewards."""
    fluency: Mapping[SliceName, tuple[float, float]]
    """Mean and standard deviation of the mean log-probabilities."""
    shortest: Mapping[SliceName, float]
    """Fewest tokens of a sound answer."""


def draw_answers(
    task: TrainingTask, prompts: Sequence[Prompt], samples: int, *, seed: int, weights: Path | None = None
) -> list[Answer]:
    """`samples` answers to each prompt by the checkpoint at `weights` (the task's start when unset)."""
    policy, rules = load_policy(task.base, weights or task.start), task.sampling
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
        Answer(
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


def fit_frame(answers: Sequence[Answer], shortest: float = SHORTEST_PERCENTILE) -> Frame:
    """The frame of these answers; those below the percentile `shortest` of the lengths are not sound."""
    slices: dict[SliceName, list[Answer]] = defaultdict(list)
    for answer in answers:
        slices[answer.prompt.slice].append(answer)
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


def is_sound(answer: Answer, frame: Frame) -> bool:
    """Whether no gate that needs only the answer itself would close."""
    return (
        answer.finished
        and len(answer.token_ids) >= frame.shortest[answer.prompt.slice]
        and is_text(answer.text)
        and not loops(answer.text)
        and not compresses(answer.text)
    )


def value_of(
    answer: Answer, frame: Frame, verifiers: Mapping[SliceName, str], weights: Weights | None = None
) -> float:
    """What an answer is worth: 1 for soundness, and the weighted terms."""
    counts, name = weights or Weights(), answer.prompt.slice
    sound = is_sound(answer, frame)
    value = (
        counts.opinion * _z(answer.reward, frame.opinions[name])
        + counts.fluency * _z(answer.logprob, frame.fluency[name])
        + sound
    )
    if sound and name in verifiers:
        value += counts.verifier * verify(verifiers[name], answer.text, answer.prompt.params)
    return value


def _z(value: float, moments: tuple[float, float]) -> float:
    mean, sd = moments
    return min(LIMIT, max(-LIMIT, (value - mean) / sd))


def by_prompt(answers: Sequence[Answer], value: Callable[[Answer], float]) -> list[list[Answer]]:
    """The answers to each prompt, worst first; prompts in the order of their first answer."""
    groups: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        groups[answer.prompt.id].append(answer)
    return [sorted(group, key=value) for group in groups.values()]


def completion_seed(*parts: object) -> int:
    """A sampler seed of 53 bits."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11
