"""What a training run says about itself: the report that is printed and kept beside the checkpoint.

The registry fills what is the same for all recipes; a recipe adds its own measures by name. Numbers only:
nothing here judges whether a run was good.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.types import Digest

Z95 = 1.96


@dataclass(frozen=True)
class Outcome:
    """What a recipe hands back."""

    result: Path
    """Directory of the trained weights, inside the workspace."""
    measures: dict[str, float] = field(default_factory=dict)
    drawn_tokens: int = 0
    """Tokens sampled outside the trainers."""
    besides: dict[str, Path] = field(default_factory=dict)
    """Other directories to keep, by the suffix that the target's name gets."""


class Gain(BaseModel, frozen=True):
    """A paired difference with its 95% interval (normal, over prompts)."""

    mean: float
    low: float
    high: float
    pairs: int


class Report(BaseModel, frozen=True):
    """What a run did."""

    recipe: str
    parent: Digest
    """Manifest digest of the checkpoint that training started from."""
    config: Digest
    """Digest of the recipe's settings."""
    path: str
    """Directory of the result."""
    steps: int
    """Optimiser steps, over all stages."""
    tokens: int
    """Tokens drawn and tokens trained on, as far as the trainers count them."""
    wall_s: float
    """Of the last start; a resumed run does not know about earlier ones."""
    peak_rss_bytes: int
    loss_first: float
    loss_last: float
    measures: dict[str, float]
    """What the recipe itself measured, such as `pairs` or `sound`."""
    held_out: Gain | None = None
    """Rise of the objective on prompts kept from training."""
    kl: float | None = None
    """Nats per completion between result and base, on the result's own held-out completions."""


def paired_gain(before: Sequence[float], after: Sequence[float]) -> Gain:
    """Mean of after - before with mean +- 1.96 standard errors. Needs two values at least."""
    rises = [new - old for old, new in zip(before, after, strict=True)]
    mean = math.fsum(rises) / len(rises)
    variance = math.fsum((rise - mean) ** 2 for rise in rises) / (len(rises) - 1)
    half = Z95 * math.sqrt(variance / len(rises))
    return Gain(mean=mean, low=mean - half, high=mean + half, pairs=len(rises))


def ends(history: Sequence[dict[str, Any]], name: str) -> tuple[float, float]:
    """First and last logged value of `name`; zeros when it was never logged."""
    values = [float(row[name]) for row in history if name in row] or [0.0]
    return values[0], values[-1]


def peak_rss_bytes() -> int:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes
