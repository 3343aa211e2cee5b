"""Confirmation: what the fresh rows say about a challenger that crossed the threshold.

Stopping biases every estimate made on the rows that led to it, so gain and safety are judged once, on
rows that had no part in the stop. The duel calls it; it never sees a test row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.protocol.verdict import Reason, SliceResult
from shared.stats.rows import Floats, Plan, Row, batch_means, batch_size, mean_and_error, slice_means

GAIN_QUANTILE = 1.2816
"""One-sided 90% normal quantile: a gain exceeds the truth with probability 10%."""

SLICE_QUANTILE = 1.645
"""One-sided 95% normal quantile."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The fresh rows' account of a duel."""

    bound: float
    """One-sided 90% lower bound of mean d."""
    champion_mean: float
    slices: tuple[SliceResult, ...]
    failed: Reason | None
    """First condition that does not hold; none when the challenger stands."""


def confirm(
    rows: Sequence[Row], plan: Plan, *, margin: float, slice_tolerance: float, kl_budget: float
) -> Confirmation:
    """Judge the fresh rows: bound above the margin, no slice worse, fresh judge, length and KL.

    Of a policy that writes more than the champion, the improvement at equal length must be proven too: a
    positive estimate alone let one that only writes more through in half of its duels. Raises
    ValueError below two batches or three rows, where no standard error exists.
    """
    if len(rows) < max(3, 2 * batch_size(plan)):
        raise ValueError("confirmation needs at least two batches and three rows")
    d = np.array([row.d for row in rows])
    mean, error = mean_and_error(batch_means(d, plan))
    bound = mean - GAIN_QUANTILE * error
    slices = slice_results(rows, plan)
    extra = np.array([row.extra_tokens for row in rows])
    fresh = [row.d_fresh for row in rows if row.d_fresh is not None]
    checks: tuple[tuple[Reason, bool], ...] = (
        ("gain_below_margin", bound > margin),
        ("slice_worse", all(part.lower >= -slice_tolerance for part in slices)),
        ("fresh_judge", not fresh or sum(fresh) > 0.0),
        ("length", holds_at_equal_length(d, extra)),
        ("kl_budget", sum(row.kl for row in rows) / len(rows) <= kl_budget),
    )
    failed = next((reason for reason, holds in checks if not holds), None)
    champion_mean = sum(row.s_champion for row in rows) / len(rows)
    return Confirmation(bound, champion_mean, slices, failed)


def slice_results(rows: Sequence[Row], plan: Plan) -> tuple[SliceResult, ...]:
    """Mean d of every slice with its one-sided 95% lower bound, never below -1; rows in whole batches."""
    results = []
    counts = dict(plan)
    for name, means in slice_means(np.array([row.d for row in rows]), plan).items():
        mean, error = mean_and_error(means)
        lower = max(-1.0, mean - SLICE_QUANTILE * error)
        results.append(SliceResult(name=name, prompts=len(means) * counts[name], mean=mean, lower=lower))
    return tuple(results)


def holds_at_equal_length(d: Floats, extra_tokens: Floats) -> bool:
    """Whether the gain cannot be had by writing more; asked only of a policy that does write more.

    A policy that answers more briefly is left alone, as judges that prefer brief answers are: ending in
    time is a skill, and answers below the reference range are gated already.
    """
    if float(extra_tokens.mean()) <= 0.0:
        return True
    mean, error = mean_at_equal_length(d, extra_tokens)
    return mean - GAIN_QUANTILE * error > 0.0


def mean_at_equal_length(d: Floats, extra_tokens: Floats) -> tuple[float, float]:
    """Intercept of the regression of d on the extra tokens, and its standard error.

    It estimates mean d if both sides were equally long. Where the length difference never varies no
    slope can be told, and the plain mean is returned. Needs three rows or more.
    """
    count, centre = len(d), float(extra_tokens.mean())
    spread = extra_tokens - centre
    variance = float(spread @ spread)
    slope = float(spread @ d) / variance if variance > 0.0 else 0.0
    residual = d - d.mean() - slope * spread
    leverage = 1.0 / count + (centre**2 / variance if variance > 0.0 else 0.0)
    error = math.sqrt(float(residual @ residual) / (count - 2) * leverage)
    return float(d.mean()) - slope * centre, error
