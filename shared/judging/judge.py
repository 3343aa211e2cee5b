"""The seam between a score and what rewards texts: judges, by name.

The judging child stands behind it; so do recorded rewards, when a verdict is replayed. Nothing here loads
a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.types import JudgeName


class Judges(Protocol):
    """Rewards texts: the judging child."""

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The raw reward of every (prompt text, completion text) pair, in order."""
