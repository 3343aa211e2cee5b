"""Rows and batches: the only evidence a duel is decided on.

A row is one prompt seen by both sides; a batch is a whole set of rows, k_s of each slice in the fixed
order. The stepper takes batches only, so a look inside a batch or a run of one slice cannot be written.
Callers make rows from stored evidence; nothing here reads or stores anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.types import SliceName

Floats = npt.NDArray[np.float64]

Plan = tuple[tuple[SliceName, int], ...]
"""Slice names with k_s, the prompts of each slice in one batch, in the fixed order."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a duel, reduced to the numbers that decide. ValueError on any other number."""

    slice: SliceName
    d: float
    """Mean score of the challenger minus the champion's, in [-1, 1]."""
    d_fresh: float | None
    """The same under the freshest judge alone, in any unit; none where that judge does not score."""
    extra_tokens: float
    """Mean completion length of the challenger minus the champion's, tokens."""
    kl: float
    """Estimated KL of the challenger to the base on its own tokens, nats per completion."""
    identical: bool
    """Whether both sides answered with the same tokens on the seeds that both used."""
    s_champion: float
    """Mean score of the champion, in [0, 1]."""

    @classmethod
    def of(cls, source: Any, **known: Any) -> Row:
        """The row of anything that has its numbers as attributes; `known` ones are taken from the caller."""
        names = (item.name for item in fields(cls))
        return cls(**{name: known[name] if name in known else getattr(source, name) for name in names})

    def __post_init__(self) -> None:
        fresh = 0.0 if self.d_fresh is None else self.d_fresh
        if not math.isfinite(self.d + fresh + self.extra_tokens + self.kl + self.s_champion):
            raise ValueError("a row holds only finite numbers")
        if not -1.0 <= self.d <= 1.0:
            raise ValueError(f"d must lie in [-1, 1], not {self.d}")
        if not 0.0 <= self.s_champion <= 1.0:
            raise ValueError(f"s_champion must lie in [0, 1], not {self.s_champion}")


@dataclass(frozen=True, slots=True)
class Batch:
    """A whole batch: exactly k_s rows of every slice, in the order of the plan."""

    plan: Plan
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        wanted = [name for name, count in self.plan for _ in range(count)]
        if not wanted or [row.slice for row in self.rows] != wanted:
            raise ValueError(
                f"a batch holds the rows of {list(self.plan)} in this order, no more and no less"
            )

    @classmethod
    def of(cls, plan: Plan, rows: Iterable[Row]) -> Batch:
        """The batch of `rows`. Raises ValueError unless they fill the plan exactly and in order."""
        return cls(plan, tuple(rows))

    @classmethod
    def split(cls, plan: Plan, rows: Iterable[Row]) -> tuple[Batch, ...]:
        """Whole consecutive batches of `rows`. Raises ValueError when the last one is not full."""
        every, size = tuple(rows), batch_size(plan)
        return tuple(cls(plan, every[start : start + size]) for start in range(0, len(every), size))


def batch_size(plan: Plan) -> int:
    """Prompts in one batch. Raises ValueError for a plan that is empty or names a slice twice."""
    names = [name for name, _ in plan]
    if not plan or len(set(names)) != len(names) or any(count < 1 for _, count in plan):
        raise ValueError("a plan names each slice once and gives it at least one prompt")
    return sum(count for _, count in plan)


def rows_of(batches: Iterable[Batch]) -> Iterator[Row]:
    """All rows in order."""
    return (row for batch in batches for row in batch.rows)


def batch_means(values: Floats, plan: Plan) -> Floats:
    """Mean of each whole batch, shape (batches,), of one value per row."""
    return np.asarray(values.reshape(-1, batch_size(plan)).mean(axis=1))


def slice_means(values: Floats, plan: Plan) -> dict[SliceName, Floats]:
    """For each slice the means of its rows inside each batch, shape (batches,)."""
    table = values.reshape(-1, batch_size(plan))
    means: dict[SliceName, Floats] = {}
    start = 0
    for name, count in plan:
        means[name] = np.asarray(table[:, start : start + count].mean(axis=1))
        start += count
    return means


def mean_and_error(means: Floats) -> tuple[float, float]:
    """Mean of batch means and its standard error; the error is infinite below two batches."""
    if len(means) < 2:
        return float(means.mean()), math.inf
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means)))
