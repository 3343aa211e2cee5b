"""Shared makers for the statistics: terms, rows and batches of small duels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shared.stats.duel import Terms
from shared.stats.rows import Batch, Row
from shared.types import SliceName

PLAN = ((SliceName("chat"), 2), (SliceName("words"), 1), (SliceName("sums"), 1))
NAMES = [name for name, count in PLAN for _ in range(count)]


@pytest.fixture(scope="session")
def make_terms() -> Callable[..., Terms]:
    """Terms of a small duel; any of them can be replaced."""

    def make(**changes: Any) -> Terms:
        settings: dict[str, Any] = {
            "margin": 0.01, "alpha": 0.01, "beta": 0.05, "planning_effect": 0.05, "look": 16, "min": 64,
            "max": 256, "carried_rounds": 2, "gain": 128, "identity": 32, "slice_tolerance": 0.15,
            "kl_budget": 10.0, "plan": PLAN,
        }  # fmt: skip
        return Terms(**(settings | changes))

    return make


@pytest.fixture(scope="session")
def make_row() -> Callable[..., Row]:
    """One row of a given d; any other number can be replaced."""

    def make(d: float, slice: str = "chat", **changes: Any) -> Row:
        settings: dict[str, Any] = {
            "slice": SliceName(slice), "d": d, "d_fresh": d, "extra_tokens": 0.0, "kl": 1.0,
            "identical": False, "s_champion": 0.5,
        }  # fmt: skip
        return Row(**(settings | changes))

    return make


@pytest.fixture(scope="session")
def make_batches(make_row: Callable[..., Row]) -> Callable[..., tuple[Batch, ...]]:
    """Whole batches of the rows with the given d, in the plan's order."""

    def make(d: Any, **changes: Any) -> tuple[Batch, ...]:
        rows = [make_row(float(x), NAMES[i % len(NAMES)], **changes) for i, x in enumerate(d)]
        return Batch.split(PLAN, rows)

    return make


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    """Differences as measured on real policies: 22% exact ties, sd 0.26, clipped to [-1, 1]."""

    def make(rng: np.random.Generator, mean: float, count: int) -> np.ndarray:
        spread = np.sqrt(max(0.26**2 - mean**2 * (1 / 0.78 - 1), 0.0) / 0.78)
        moved = np.clip(rng.normal(mean / 0.78, spread, count), -1.0, 1.0)
        return np.where(rng.random(count) < 0.22, 0.0, moved)

    return make


@pytest.fixture(scope="session")
def wilson() -> Callable[[int, int], tuple[float, float]]:
    """99% Wilson interval of a rate of `hits` in `tries`."""

    def interval(hits: int, tries: int) -> tuple[float, float]:
        z, rate = 2.5758, hits / tries
        centre = (rate + z * z / (2 * tries)) / (1 + z * z / tries)
        half = z * np.sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries)) / (1 + z * z / tries)
        return float(centre - half), float(centre + half)

    return interval
