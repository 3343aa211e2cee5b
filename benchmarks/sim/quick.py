"""Whole duels in numpy: the answer of `decide` without its rows, for simulations of very many duels.

The thresholds and batch means are those of `shared.stats`; only the walk over rounds and the conditions on
fresh rows are written again. Benchmarks print, and a test asserts, that both ways give the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.sim.simulation import Floats, play
from shared.protocol.verdict import Reason
from shared.stats.confirmation import GAIN_QUANTILE, SLICE_QUANTILE
from shared.stats.duel import Terms, first_threshold
from shared.stats.rows import Batch, Row, batch_means, batch_size, mean_and_error, slice_means

CHUNK = 768


class Stream:
    """The rows of one challenger, drawn a chunk at a time and only as far as they are asked for."""

    def __init__(self, draw: Callable[[int], Floats], *, identical: bool = False) -> None:
        self._draw = draw
        self._rows: Floats = np.empty(0)
        self.identical = identical
        """Whether every answer is token for token the champion's."""

    def first(self, count: int) -> Floats:
        """The first `count` values of d."""
        while count > len(self._rows):
            self._rows = np.concatenate([self._rows, self._draw(CHUNK)])
        return self._rows[:count]


@dataclass(frozen=True)
class Ending:
    """How one duel ended."""

    reason: Reason
    test: int
    """Prompts until the test stopped."""
    fresh: int
    """Prompts of the confirmation."""
    mean: float
    """Mean d of the test rows: what a rule without fresh rows would take for the gain."""
    bound: float | None = None
    """What confirmation proves; none without one."""

    @property
    def crowned(self) -> bool:
        """Whether the challenger won."""
        return self.reason == "confirmed"

    @property
    def prompts(self) -> int:
        """All prompts."""
        return self.test + self.fresh


def finish(terms: Terms, stream: Stream) -> Ending:
    """The end of the duel: its carried rounds and its confirmation included."""
    if stream.identical:
        size = batch_size(terms.plan)
        return Ending("indistinguishable", math.ceil(terms.identity / size) * size, 0, 0.0)
    last = terms.max * (terms.carried_rounds + 1)
    chunk = min(last, math.ceil(CHUNK / terms.look) * terms.look)
    while (found := first_threshold(terms, stream.first(chunk)))[1] is None and chunk < last:
        chunk = min(last, 2 * chunk)
    end, stop = found
    mean = float(stream.first(end).mean())
    if stop != "crossed":
        return Ending("exhausted" if stop is None else stop, end, 0, mean)
    fresh = stream.first(end + terms.gain)[end:]
    bound, failed = confirmed(terms, fresh)
    return Ending(failed or "confirmed", end, terms.gain, mean, bound)


def confirmed(terms: Terms, fresh: Floats) -> tuple[float, Reason | None]:
    """The gain bound of fresh rows, and why they do not bear the crown out; none when they do."""
    mean, error = mean_and_error(batch_means(fresh, terms.plan))
    bound = mean - GAIN_QUANTILE * error
    if bound <= terms.margin:
        return bound, "gain_below_margin"
    for means in slice_means(fresh, terms.plan).values():
        mean, error = mean_and_error(means)
        if mean - SLICE_QUANTILE * error < -terms.slice_tolerance:
            return bound, "slice_worse"
    return bound, None


def decided(terms: Terms, stream: Stream) -> Ending:
    """The same end through `decide`, driven as a validator drives it."""
    names = [name for name, count in terms.plan for _ in range(count)]
    size, taken = len(names), 0

    def batch() -> Batch:
        nonlocal taken
        taken += size
        d = stream.first(taken)[taken - size :]
        rows = [
            Row(name, float(x), None, 0.0, 1.0, stream.identical, 0.5)
            for name, x in zip(names, d, strict=True)
        ]
        return Batch.of(terms.plan, rows)

    verdict = play(terms, iter(batch, None))
    fresh = terms.gain if verdict.gain_bound is not None else 0
    return Ending(verdict.reason, verdict.prompts - fresh, fresh, verdict.mean, verdict.gain_bound)
