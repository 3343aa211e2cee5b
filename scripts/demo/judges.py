"""The demo's judges: preference pairs by stated corruption, and a reward head on a small encoder.

The demo, tests and benchmarks build judges with it; duels never do. A pair sets a base model's own
completion against a damaged copy of it, so a judge knows coherence, relevance and completeness and no more:
the demo's judges are weak, and are labelled so. Fit and agreement are `shared/judging/preferences`.
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
from shared.judging.preferences.agreement import measure_agreement
from shared.judging.preferences.head import fit_head, read_states
from shared.judging.preferences.pairs import PreferencePair

if TYPE_CHECKING:
    from collections.abc import Iterator

Corruption = Literal["swapped", "truncated", "looped", "padded"]
MIN_WORDS = 4
"""Shorter completions cannot be damaged in all four ways."""
MAX_TOKENS = 160
"""Longest input in training; the judge reads longer ones when it scores."""
CLASSIFIER_SD = 0.02


@dataclass(frozen=True)
class BaseCompletion:
    """A base model's finished completion of a prompt."""

    prompt: str
    text: str


class CorruptionMix(BaseModel, frozen=True):
    """How completions are damaged: relative frequencies, strengths and filler. Two judges get two mixes."""

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
    """How often a judge prefers the chosen side, beside what length alone achieves."""

    pairs: int
    judge: float = Field(ge=0, le=1)
    length: float = Field(ge=0.5, le=1)
    """The better of "shorter wins" and "longer wins"."""

    @property
    def useful(self) -> bool:
        """Whether the judge beats the length baseline; else it is left out of a set."""
        return self.judge > self.length


def corrupt(
    answers: Sequence[BaseCompletion], mix: CorruptionMix, seed: int, per_answer: int = 4
) -> tuple[PreferencePair, ...]:
    """`per_answer` pairs for every completion of at least four words, each by one corruption of the mix.

    The completion is chosen, its damaged copy rejected; the corruption is the pair's `source`. Raises
    AgonError `data_invalid` when fewer than two completions are long enough to be swapped.
    """
    usable = [answer for answer in answers if len(answer.text.split()) >= MIN_WORDS]
    if len({answer.prompt for answer in usable}) < 2:
        raise AgonError("data_invalid", f"{len(usable)} usable completions are too few to train a judge on")
    rng = random.Random(seed)
    kinds, weights = list(mix.weights), list(mix.weights.values())
    pairs = []
    for answer in usable:
        for kind in rng.choices(kinds, weights, k=per_answer):
            damaged = _damage(kind, answer, usable, mix, rng)
            if damaged != answer.text:
                pairs.append(PreferencePair(answer.prompt, answer.text, damaged, source=kind))
    return tuple(pairs)


def _damage(
    kind: Corruption,
    answer: BaseCompletion,
    others: Sequence[BaseCompletion],
    mix: CorruptionMix,
    rng: random.Random,
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
    trunk: Path, pairs: Sequence[PreferencePair], target: Path, seed: int, recipe: JudgeRecipe | None = None
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
    reader: Any = AutoTokenizer.from_pretrained(trunk, local_files_only=True, model_max_length=MAX_TOKENS)
    encoder: Any = BertModel.from_pretrained(
        trunk, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    encoder.config.num_labels = 1
    with _seeded(seed):
        model: Any = BertForSequenceClassification(encoder.config)
        model.bert = encoder
        model.eval()  # no dropout: features are computed once
        torch.nn.init.normal_(model.classifier.weight, std=CLASSIFIER_SD)
        states = read_states(encoder, reader, pairs)  # [pairs, 1, hidden] of either side
        fit_head(model, states, **(recipe or JudgeRecipe()).model_dump())
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".judge-") as scratch:
        made = Path(scratch) / "made"
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        made.rename(target)
    return target


def rate_judge(directory: Path, pairs: Sequence[PreferencePair]) -> JudgeAccuracy:
    """Accuracy of the judge at `directory` on held-out pairs; ties count as half.

    Raises AgonError as `measure_agreement` does.
    """
    found = measure_agreement(directory, pairs)
    return JudgeAccuracy(pairs=found.pairs, judge=found.accuracy.value, length=found.length_accuracy.value)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's random numbers from `seed` inside the block, and as before after it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
