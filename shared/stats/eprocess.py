"""Betting e-processes and confidence sequences for the mean of differences in [-1, 1].

A uniform mixture of 16 constant bets: it has no state to get wrong, and constant bets stay valid when
slices differ in their means, because inside a batch the product of expectations is at most the
expectation at the average (AM-GM). Wealth is read at batch ends only; the caller names them.
Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]

BETS: Floats = np.geomspace(0.02, 0.9, 16)
"""The grid of constant bets, as shares of the largest bet that can never lose everything."""

Null = Literal["at_most", "at_least"]
"""Which side of the mean the null hypothesis holds."""

_RESOLUTION = 1e-6


def log_wealth_path(d: Floats, mean: float, ends: Sequence[int], *, null: Null = "at_most") -> Floats:
    """Natural log of the e-value against "mean d `null` `mean`" after the first `ends[i]` rows.

    `d` has shape (rows,); every end must be the end of a whole batch. Under "at_most" the wealth is the
    mean over bets of prod(1 + bet * (d - mean) / (1 + mean)); "at_least" is its mirror image.
    Raises ValueError for a mean outside (-1, 1), non-finite or out-of-range d, or an end out of range.
    """
    values = _checked(d)
    if not -1.0 < mean < 1.0:
        raise ValueError(f"the null mean must lie in (-1, 1), not {mean}")
    stops = np.asarray(ends, dtype=np.intp)
    if stops.size and not (stops.min() >= 1 and stops.max() <= len(values)):
        raise ValueError(f"ends must lie in 1..{len(values)}")
    growth = log_growth(values, mean, null=null).cumsum(axis=1)
    return np.asarray(np.logaddexp.reduce(growth[:, stops - 1], axis=0) - math.log(len(BETS)))


def log_growth(d: Floats, mean: float, *, null: Null = "at_most") -> Floats:
    """Natural log of what each bet of the grid makes of its wealth on each row, shape (bets, rows)."""
    return np.asarray(np.log1p(BETS[:, None] * _pull(d, mean, null)))


def log_wealth(d: Floats, mean: float, *, null: Null = "at_most") -> float:
    """Natural log of the e-value after all of `d`; 0 before any row."""
    return float(log_wealth_path(d, mean, [len(d)], null=null)[0]) if len(d) else 0.0


def confidence_sequence(d: Floats, alpha: float) -> tuple[float, float]:
    """Anytime-valid (lower, upper) bounds for mean d: level 1 - alpha at every look at once.

    Each bound spends alpha / 2: it is the mean at which the mixture's wealth reaches 2 / alpha, found to
    1e-6 and rounded outwards. Wealth falls as the null mean moves towards the data, so each bound is one
    root. Before any row: (-1, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie in (0, 1), not {alpha}")
    values = _checked(d)
    if not len(values):
        return -1.0, 1.0
    threshold = math.log(2.0 / alpha)
    lower = _root(lambda mean: _total(values, mean, "at_most") - threshold, values, end=-1.0)
    upper = _root(lambda mean: _total(values, mean, "at_least") - threshold, values, end=1.0)
    return lower, upper


def alpha_share(alpha: float, t: int, slots: int, horizon: int) -> float:
    """Error budget of one duel: alpha * (3 / (pi^2 t^2) + 1 / (2 horizon)) / slots.

    `t` counts the rounds of the reign that had slots, from 1. Over the first `horizon` rounds of a reign
    the shares of all duels sum to at most alpha, and over any later `horizon` to little more than half.
    """
    if not 0.0 < alpha < 1.0 or t < 1 or slots < 1 or horizon < 1:
        raise ValueError("alpha must lie in (0, 1); t, slots and horizon are at least 1")
    return alpha * (3.0 / (math.pi * t) ** 2 + 0.5 / horizon) / slots


def _checked(d: Floats) -> Floats:
    values = np.asarray(d, dtype=np.float64)
    if values.ndim != 1 or not bool(np.all(np.abs(values) <= 1.0)):
        raise ValueError("d must be one row of finite numbers in [-1, 1]")
    return values


def _pull(values: Floats, mean: float, null: Null) -> Floats:
    """What a bet of 1 wins on each row: at least -1, and of mean at most 0 under the null."""
    if null == "at_most":
        return (values - mean) / (1.0 + mean)
    return (mean - values) / (1.0 - mean)


def _total(values: Floats, mean: float, null: Null) -> float:
    """Log wealth after all rows, without the path."""
    growth = log_growth(values, mean, null=null).sum(axis=1)
    return float(np.logaddexp.reduce(growth) - math.log(len(BETS)))


def _root(excess: Callable[[float], float], values: Floats, *, end: float) -> float:
    """Where `excess` turns positive on the way from the sample mean to `end`, rounded towards `end`.

    Steps of doubling length bracket the root first: wealth grows steeply near the ends of the range.
    """
    far = 1.0 - _RESOLUTION
    near = float(np.clip(values.mean(), -far, far))
    reach = 1.0 / math.sqrt(len(values))
    probe = float(np.clip(near + end * reach, -far, far))
    while abs(probe) < far and excess(probe) <= 0.0:
        near, reach = probe, 2.0 * reach
        probe = float(np.clip(near + end * reach, -far, far))
    if probe == near or excess(probe) <= 0.0:
        return end
    return float(np.clip(brentq(excess, near, probe, xtol=_RESOLUTION) + end * 2.0 * _RESOLUTION, -1.0, 1.0))
