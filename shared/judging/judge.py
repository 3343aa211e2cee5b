"""The seam between a score and what rewards texts: judges by name, each a rewarder of one family.

The judging child and the panel stand behind it; so do recorded rewards, when a verdict is replayed. The
build holds a judge against the checks below. Nothing here loads a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import AgonError
from shared.types import JudgeName

Pairs = Sequence[tuple[str, str]]
"""Prompt text and completion text."""

AGREEMENT = 1e-3
"""Largest difference of one reward, made alone and in a batch: what a replay allows too."""


class Judges(Protocol):
    """Rewards texts with a judge that is named: the judging child."""

    def reward(self, judge: JudgeName, pairs: Pairs) -> list[float]:
        """The raw reward of every (prompt text, completion text) pair, in order."""


class Rewarder(Protocol):
    """One judge of any family."""

    def reward(self, pairs: Pairs) -> list[float]:
        """The raw reward of every (prompt text, completion text) pair, in order, whatever is beside it."""


class Reader(Protocol):
    """What a judge says of how much it reads."""

    @property
    def room(self) -> int | None:
        """Tokens of a prompt and its completion together that it reads whole; None where nothing is cut."""


class Bench(Judges, Protocol):
    """Judges that say how much they read."""

    def room(self, judge: JudgeName) -> int | None:
        """`Reader.room` of one of them."""


@dataclass(frozen=True)
class OneOf:
    """One of several judges, as a rewarder and a reader: what the checks below take."""

    judges: Bench
    name: JudgeName

    @property
    def room(self) -> int | None:
        """Tokens of a prompt and its completion together that this judge reads whole."""
        return self.judges.room(self.name)

    def reward(self, pairs: Pairs) -> list[float]:
        """The raw rewards of this judge."""
        return self.judges.reward(self.name, pairs)


def agreement_alone_and_in_batch(judge: Rewarder, pairs: Pairs) -> float:
    """Largest difference of a pair's reward, scored alone and beside the others; for the build.

    A judge whose padding or pooling is wrong for its family scores a text by its neighbours. Use pairs of
    very different lengths. Raises AgonError `judge_invalid` above `AGREEMENT`.
    """
    together = judge.reward(pairs)
    alone = [judge.reward([pair])[0] for pair in pairs]
    worst = max((abs(one - other) for one, other in zip(together, alone, strict=True)), default=0.0)
    if not worst <= AGREEMENT:
        raise AgonError(
            "judge_invalid",
            f"one text has rewards that differ by {worst:.3g}, scored alone and in a batch",
            help="use a judge that does not read its padding, with the tokenizer that it was trained with",
        )
    return worst


def check_reads_whole(reader: Reader, prompt_tokens: int, new_tokens: int) -> None:
    """Refuse a judge that could not see the end of what the rules allow.

    Answers that differ only behind its limit would have one reward. Raises AgonError `judge_invalid`.
    """
    needed, room = prompt_tokens + new_tokens, reader.room
    if room is not None and room < needed:
        raise AgonError(
            "judge_invalid",
            f"the judge reads {room} tokens of prompt and completion, the rules allow {prompt_tokens} +"
            f" {new_tokens}",
            help="use a judge with a longer limit, or lower sampling.limits.prompt_tokens or new_tokens",
        )
