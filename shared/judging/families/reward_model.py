"""`reward-model`: a classifier with one label, of any Hugging Face family; its logit is the reward.

It scores in batches sorted by length. A reward that is not finite is the validator's fault and raises: it
can never enter a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from shared.errors import AgonError

BATCH = 32


class RewardModel:
    """One judge, loaded once."""

    def __init__(self, directory: Path) -> None:
        """Load the judge. Raises AgonError `judge_invalid`."""
        from shared.engines.judges import load_judge

        self._directory = directory
        self._model = load_judge(directory)

    @property
    def room(self) -> int:
        """Tokens of a prompt and its completion together that are read whole."""
        return self._model.reader.room

    def reward(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Raw reward of every (prompt text, completion text) pair, in order.

        Raises AgonError `judge_non_finite`.
        """
        order = sorted(range(len(pairs)), key=lambda index: (self._model.length(*pairs[index]), index))
        rewards = [0.0] * len(pairs)
        for start in range(0, len(order), BATCH):
            indices = order[start : start + BATCH]
            values = self._model.score([pairs[index] for index in indices])
            for index, value in zip(indices, values, strict=True):
                rewards[index] = value
        if not all(math.isfinite(value) for value in rewards):
            raise AgonError("judge_non_finite", f"the judge at {self._directory.name} returned {rewards}")
        return rewards


def load(directory: Path, params: Mapping[str, JsonValue]) -> RewardModel:
    """The reward model at `directory`. Raises AgonError `judge_invalid`; it takes no parameters."""
    if params:
        raise AgonError("judge_invalid", f"a reward model has no parameters, not {sorted(params)}")
    return RewardModel(directory)
