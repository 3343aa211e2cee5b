"""Training of learned judges: preference pairs by stated corruption, and a reward head on a small encoder.

Owners run it when they build a competition or rotate a judge; duels never do. A pair sets a base model's
own answer against a damaged copy of it, so a judge knows coherence, relevance and completeness and no
more: the demo's judges are weak, and are labelled so.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from shared.errors import AgonError
from shared.judging.reward_model import RewardModel
from validator.owner.judges.head import fit_head, read_states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

Corruption = Literal["swapped", "truncated", "looped", "padded"]
MIN_WORDS = 4
"""Shorter answers cannot be damaged in all four ways."""
MAX_TOKENS = 160
CLASSIFIER_SD = 0.02


@dataclass(frozen=True)
class Answer:
    """A base model's complete answer to a prompt."""

    prompt: str
    text: str


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, the first one better."""

    prompt: str
    good: str
    bad: str
    corruption: Corruption


class CorruptionMix(BaseModel, frozen=True):
    """How answers are damaged: relative frequencies, strengths and filler. Two judges get two mixes."""

    weights: dict[Corruption, int]
    kept: tuple[float, float]
    """Range of the share of words that a truncation keeps."""
    loop_words: tuple[int, int]
    """Range of the length of a repeated run of words."""
    filler: tuple[str, ...] = Field(min_length=2)
    """Empty sentences for padding."""


PROXY_MIX = CorruptionMix(
    weights={"swapped": 1, "truncated": 3, "looped": 2, "padded": 1},
    kept=(0.4, 0.8),
    loop_words=(2, 5),
    filler=(
        "As I said before, this is important to know.",
        "There is a lot more to say about it.",
        "It is what it is, and so on and so forth.",
    ),
)
"""Of the public proxy judge."""

HELD_OUT_MIX = CorruptionMix(
    weights={"swapped": 2, "truncated": 2, "looped": 1, "padded": 2},
    kept=(0.5, 0.9),
    loop_words=(3, 7),
    filler=(
        "In any case, many things can be said here.",
        "Please keep in mind that this matters.",
        "And that is basically all there is to it, really.",
    ),
)
"""Of the demo's held-out judges."""


class JudgeRecipe(BaseModel, frozen=True, extra="forbid"):
    """How pooler and head of a judge are trained; the trunk stays as it is."""

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)


class JudgeAccuracy(BaseModel, frozen=True):
    """How often a judge prefers the better answer, beside what length alone achieves."""

    pairs: int
    judge: float = Field(ge=0, le=1)
    length: float = Field(ge=0.5, le=1)
    """The better of "shorter wins" and "longer wins"."""

    @property
    def useful(self) -> bool:
        """Whether the judge beats the length baseline; else it is left out of a set."""
        return self.judge > self.length


def corrupt(
    answers: Sequence[Answer], mix: CorruptionMix, seed: int, per_answer: int = 4
) -> tuple[Pair, ...]:
    """`per_answer` pairs for every answer of at least four words, each by one corruption of the mix.

    Raises AgonError `data_invalid` when fewer than two answers are long enough to be swapped.
    """
    usable = [answer for answer in answers if len(answer.text.split()) >= MIN_WORDS]
    if len({answer.prompt for answer in usable}) < 2:
        raise AgonError("data_invalid", f"{len(usable)} usable answers are too few to train a judge on")
    rng = random.Random(seed)
    kinds, weights = list(mix.weights), list(mix.weights.values())
    pairs = []
    for answer in usable:
        for kind in rng.choices(kinds, weights, k=per_answer):
            bad = _damage(kind, answer, usable, mix, rng)
            if bad != answer.text:
                pairs.append(Pair(answer.prompt, answer.text, bad, kind))
    return tuple(pairs)


def _damage(
    kind: Corruption, answer: Answer, others: Sequence[Answer], mix: CorruptionMix, rng: random.Random
) -> str:
    words = answer.text.split()
    if kind == "swapped":
        return rng.choice([other for other in others if other.prompt != answer.prompt]).text
    if kind == "truncated":
        kept = min(len(words) - 1, max(1, int(len(words) * rng.uniform(*mix.kept))))
        return " ".join(words[:kept]).rstrip(".,;:!?")
    if kind == "looped":
        size = min(len(words), rng.randint(*mix.loop_words))
        start = rng.randrange(len(words) - size + 1)
        return " ".join(words[: start + size] + words[start : start + size] * rng.randint(2, 4))
    return " ".join([answer.text, *rng.sample(mix.filler, rng.randint(1, 2))])


def train_judge(
    trunk: Path, pairs: Sequence[Pair], target: Path, seed: int, recipe: JudgeRecipe | None = None
) -> Path:
    """Train a one-label BERT on `pairs` with the Bradley-Terry loss; write it to the new directory `target`.

    `trunk` is a directory with a BERT encoder and its tokenizer. The result holds safetensors, config and
    tokenizer. Raises AgonError `data_invalid` without pairs, `training_failed` when the loss is not finite.
    """
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification, BertModel

    if not pairs:
        raise AgonError("data_invalid", "a judge needs pairs to train on")
    tokenizer: Any = AutoTokenizer.from_pretrained(trunk, local_files_only=True)
    encoder: Any = BertModel.from_pretrained(
        trunk, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    encoder.config.num_labels = 1
    with _seeded(seed):
        model: Any = BertForSequenceClassification(encoder.config)
        model.bert = encoder
        model.eval()  # no dropout: features are computed once
        torch.nn.init.normal_(model.classifier.weight, std=CLASSIFIER_SD)
        fit_head(model, _states(encoder, tokenizer, pairs), **(recipe or JudgeRecipe()).model_dump())
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".judge-") as scratch:
        made = Path(scratch) / "made"
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        made.rename(target)
    return target


def measure_judge(directory: Path, pairs: Sequence[Pair]) -> JudgeAccuracy:
    """Accuracy of the judge at `directory` on held-out pairs; ties count as half."""
    rewards = RewardModel(directory).reward(
        [(pair.prompt, text) for pair in pairs for text in (pair.good, pair.bad)]
    )
    shorter = _share([(-len(pair.good), -len(pair.bad)) for pair in pairs])
    judge = _share(list(zip(rewards[0::2], rewards[1::2], strict=True)))
    return JudgeAccuracy(pairs=len(pairs), judge=judge, length=max(shorter, 1 - shorter))


def _share(values: Sequence[tuple[float, float]]) -> float:
    """Share of (good, bad) values that are in the right order."""
    return sum(1.0 if good > bad else 0.5 if good == bad else 0.0 for good, bad in values) / len(values)


def _states(encoder: Any, tokenizer: Any, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """First-token states of the better and of the worse answers."""

    def encode(batch: Sequence[tuple[str, str]]) -> Any:
        return tokenizer(
            [prompt for prompt, _ in batch],
            [answer for _, answer in batch],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
        )

    texts = [(pair.prompt, text) for pair in pairs for text in (pair.good, pair.bad)]
    states = read_states(encoder, encode, texts)
    return states[0::2], states[1::2]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's random numbers from `seed` inside the block, and as before after it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
