"""Over-optimisation curves: best-of-n without resampling, and the forms of Gao et al. fitted to points. Pure.

"Scaling Laws for Reward Model Overoptimization" (Gao, Schulman, Hilton 2022): with d = sqrt(KL), the gold
reward's rise is d (alpha - beta d) for best-of-n and d (alpha - beta log d) for reinforcement learning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln

from benchmarks.sim.simulation import Floats

Form = Literal["best-of-n", "rl"]


def best_of_n_kl(n: int) -> float:
    """KL of best-of-n to the policy it draws from, nats: log n - (n - 1) / n (exact without ties)."""
    return math.log(n) - (n - 1) / n


def best_of_n(judge: Floats, values: Floats, n: int) -> Floats:
    """Expected value [prompt] of the best of n by `judge`, from N >= n samples [prompt, sample].

    The unbiased estimate over all subsets of size n: the k-th smallest of N is the best of one with
    probability C(k - 1, n - 1) / C(N, n).
    """
    count = judge.shape[1]
    ranks = np.arange(1, count + 1)
    ways = np.where(ranks >= n, _log_choose(np.maximum(ranks - 1, n - 1), n - 1), -np.inf)
    weights = np.exp(ways - _log_choose(np.array(count), n))
    ordered = np.take_along_axis(values, np.argsort(judge, axis=1, kind="stable"), axis=1)
    return np.asarray(ordered @ weights)


def _log_choose(total: Floats, chosen: int) -> Floats:
    return np.asarray(gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1))


@dataclass(frozen=True)
class Curve:
    """A fitted form."""

    form: Form
    alpha: float
    beta: float

    def at(self, d: Floats) -> Floats:
        """The rise at d > 0."""
        bend = d if self.form == "best-of-n" else np.log(d)
        return np.asarray(d * (self.alpha - self.beta * bend))

    @property
    def peak(self) -> float:
        """d of the highest rise; infinite where the form has no peak."""
        if self.beta <= 0:
            return math.inf
        if self.form == "best-of-n":
            return max(0.0, self.alpha / (2 * self.beta))
        return math.exp(min(700.0, self.alpha / self.beta - 1))


def fit(form: Form, d: Floats, rise: Floats) -> Curve:
    """Least squares over the points with d > 0; both forms are linear in alpha and beta."""
    used = d > 0
    x, y = d[used], rise[used]
    bend = x if form == "best-of-n" else np.log(x)
    alpha, beta = np.linalg.lstsq(np.stack([x, -x * bend], axis=1), y, rcond=None)[0]
    return Curve(form, float(alpha), float(beta))
