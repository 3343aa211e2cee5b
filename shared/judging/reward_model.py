"""A learned judge: raw rewards for texts, in batches sorted by length.

The judging child runs it. A reward that is not finite is the validator's fault and raises: it can never
enter a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from shared.engines.hf import JudgeModel, load_judge
from shared.errors import AgonError

BATCH = 32


class RewardModel:
    """One judge, loaded once."""

    def __init__(self, directory: Path) -> None:
        """Load the judge. Raises AgonError `judge_invalid`."""
        self._directory = directory
        self._model: JudgeModel = load_judge(directory)

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
