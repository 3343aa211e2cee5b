"""Rare false crossings by importance sampling: rows drawn from tilted laws, weighted back to the null.

A false crown of one duel is too rare to be counted; drawn from laws under which it is common, and weighted
by the likelihood ratio at the crossing, it is estimated to a few percent from a thousand duels. The
e-processes are those of `shared.stats`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from benchmarks.sim.quick import CHUNK, confirmed
from benchmarks.sim.simulation import SD, TIES, Floats, Generator
from shared.stats.duel import Terms
from shared.stats.eprocess import log_wealth_path

GRID: Floats = np.linspace(-1.0, 1.0, 401)
TILTS: Floats = np.geomspace(0.05, 0.9, 8)
LEVELS: Floats = np.geomspace(0.6, 1e-8, 60)
"""Alphas between which crossing probabilities are read off."""


def null_law(mean: float) -> Floats:
    """Probabilities on GRID of ties and a clipped normal with exactly this mean."""
    spread, edges = SD / math.sqrt(1 - TIES), (GRID[1:] + GRID[:-1]) / 2

    def law(centre: float) -> Floats:
        steps = np.diff(np.concatenate([[0.0], ndtr((edges - centre) / spread), [1.0]])) * (1 - TIES)
        steps[len(GRID) // 2] += TIES
        return np.asarray(steps)

    return law(brentq(lambda centre: float(law(centre) @ GRID) - mean, -0.9, 0.9))


def crossing_probabilities(
    terms: Terms, mean: float, alphas: Sequence[float], runs: int, rng: Generator
) -> tuple[Floats, Floats]:
    """Probability that a duel of true mean d crosses 1 / alpha before it is futile, and its standard error.

    `alphas` in falling order. Every tilt is used for an equal number of duels, which share one weight:
    the null's likelihood over the average of the tilted ones.
    """
    law = null_law(mean)
    scales = np.log(np.exp(TILTS[:, None] * GRID) @ law)
    weights = np.zeros((runs, len(alphas)))
    for run in range(runs):
        tilted = law * np.exp(TILTS[run % len(TILTS)] * GRID)
        ends, sums = _crossings(terms, GRID, tilted.cumsum() / tilted.sum(), alphas, rng)
        for index, (end, total) in enumerate(zip(ends, sums, strict=True)):
            ratio = np.logaddexp.reduce(TILTS * total - end * scales) - math.log(len(TILTS))
            weights[run, index] = math.exp(-ratio)
    return weights.mean(axis=0), weights.std(axis=0, ddof=1) / math.sqrt(runs)


def _crossings(
    terms: Terms, values: Floats, steps: Floats, alphas: Sequence[float], rng: Generator
) -> tuple[list[int], list[float]]:
    """Rows and their sum at the crossing of each level that one path reaches before it is futile."""
    last, d = terms.max * (terms.carried_rounds + 1), np.empty(0)
    levels = -np.log(np.asarray(alphas))
    while len(d) < last:
        more = min(last, max(CHUNK, 2 * len(d))) - len(d)
        d = np.concatenate([d, values[np.searchsorted(steps, rng.random(more))]])
        looks = np.arange(terms.look, len(d) + 1, terms.look)
        wealth = log_wealth_path(d, terms.margin, list(looks))
        futile = log_wealth_path(d, terms.planning_effect, list(looks), null="at_least")
        stopped = np.flatnonzero(futile >= -math.log(terms.beta))
        open_until = stopped[0] if stopped.size else len(looks)
        top = np.maximum.accumulate(np.where(looks >= terms.min, wealth, -np.inf)[: open_until + 1])
        if stopped.size or (top.size and top[-1] >= levels[-1]):
            break
    at = np.searchsorted(top, levels)
    ends = [int(looks[index]) for index in at if index < len(top)]
    return ends, [float(d[:end].sum()) for end in ends]


def confirmation_probability(terms: Terms, mean: float, runs: int, rng: Generator) -> float:
    """How often fresh rows of true mean d bear a crown out."""
    steps = null_law(mean).cumsum()
    drawn = (GRID[np.searchsorted(steps, rng.random(terms.gain))] for _ in range(runs))
    return sum(confirmed(terms, fresh)[1] is None for fresh in drawn) / runs


@dataclass(frozen=True)
class Rare:
    """Probabilities of rare ends of one duel of a policy worth the margin."""

    crossings: Floats
    """Of crossing 1 / alpha at each of LEVELS."""
    stands: float
    """Of passing confirmation after it."""

    def crossing(self, alpha: float) -> float:
        """Probability of crossing at this alpha: log-linear between the levels."""
        logs = np.interp(-math.log(alpha), -np.log(LEVELS), np.log(np.maximum(self.crossings, 1e-300)))
        return math.exp(float(logs))


def rare(terms: Terms, runs: int, seed: int) -> Rare:
    """The rare ends under `terms`."""
    rng = np.random.default_rng([1, seed])
    rates, _ = crossing_probabilities(terms, terms.margin, list(LEVELS), runs, rng)
    return Rare(rates, confirmation_probability(terms, terms.margin, 2 * runs, rng))
