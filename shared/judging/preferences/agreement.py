"""A judge's agreement with preference pairs: accuracy beside length alone, length bias, calibration.

Numbers with 95% intervals; pairs that share a prompt count as one cluster. Owners and miners measure their
judges here. Everything but `measure_agreement`, which reads a judge, is pure: numbers in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from shared.errors import AgonError
from shared.judging.preferences.pairs import PreferencePair

Vector = NDArray[np.float64]

Z95 = 1.959963984540054
"""Normal quantile of a two-sided 95% interval."""
BINS = 5
"""Reliability bins of equal width over confidences .5 to 1."""
HOTTEST = 100.0
"""Upper end of the temperatures tried: a judge that needs more knows nothing."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Estimate(_Frozen):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Bin(_Frozen):
    """Pairs of similar stated confidence."""

    low: float
    high: float
    pairs: int
    confidence: float
    """Mean of max(p, 1 - p), with p = sigmoid(margin)."""
    accuracy: float


class Calibration(_Frozen):
    """How far sigmoid(margin) is the probability that people prefer the chosen side."""

    log_loss: Estimate
    """Mean -log sigmoid(margin), nats; log 2 = .693 without any knowledge."""
    ece: float
    """Expected calibration error: mean |accuracy - confidence| over the bins, weighted by pairs."""
    temperature: float
    """T that minimises the log loss of sigmoid(margin / T) on these pairs; above 1 is over-confident."""
    log_loss_at_temperature: float
    bins: tuple[Bin, ...]


class LengthBias(_Frozen):
    """What length does to the reward and to the accuracy."""

    slope: Estimate | None
    """Standard deviations of reward per e-fold of length, at equal human preference."""
    shorter_is_better: Estimate | None
    """Accuracy on pairs whose chosen side is the shorter one."""
    longer_is_better: Estimate | None


class Agreement(_Frozen):
    """How far a judge's rewards agree with preference pairs."""

    pairs: int
    prompts: int
    ties: int
    """Pairs with two equal rewards; each counts as half a hit."""
    accuracy: Estimate
    length_rule: Literal["shorter", "longer"]
    """The better of the two rules that know length alone, chosen on these same pairs."""
    length_accuracy: Estimate
    above_length: Estimate
    """Paired difference of the two accuracies."""
    calibration: Calibration
    length: LengthBias

    @property
    def useful(self) -> bool:
        """Whether the judge is proven better than length alone; else it is left out of a set."""
        return self.above_length.low > 0


def measure_agreement(directory: Path, pairs: Sequence[PreferencePair]) -> Agreement:
    """The reward model at `directory` on `pairs`.

    Raises AgonError `judge_invalid`, `judge_non_finite`, `data_invalid` below two prompts.
    """
    rewards = rewards_of(directory, pairs)
    return compare_rewards(
        rewards[0::2],
        rewards[1::2],
        [(len(pair.chosen), len(pair.rejected)) for pair in pairs],
        [pair.cluster for pair in pairs],
    )


def rewards_of(directory: Path, pairs: Sequence[PreferencePair]) -> list[float]:
    """Rewards [2 * pairs] of the judge at `directory`, chosen and rejected in turn. Errors as above."""
    from shared.judging.families.reward_model import RewardModel

    return RewardModel(directory).reward(
        [(pair.prompt, side) for pair in pairs for side in (pair.chosen, pair.rejected)]
    )


def compare_rewards(
    chosen: Sequence[float],
    rejected: Sequence[float],
    lengths: Sequence[tuple[int, int]],
    keys: Sequence[str],
) -> Agreement:
    """The agreement of rewards for (chosen, rejected) sides of `lengths` characters; `keys` name prompts.

    Raises AgonError `data_invalid` below two prompts, `judge_non_finite` for such a reward.
    """
    rewards = np.array([chosen, rejected], float)  # [2, pairs]
    if not np.isfinite(rewards).all():
        raise AgonError("judge_non_finite", "a reward is not finite")
    clusters = number_clusters(keys)  # [pairs]
    margins, sizes = rewards[0] - rewards[1], np.asarray(lengths, float)  # [pairs], [pairs, 2]
    hits = _hits(margins)
    shorter = _hits(sizes[:, 1] - sizes[:, 0])
    rule: Literal["shorter", "longer"] = "shorter" if shorter.mean() >= 0.5 else "longer"
    by_length = shorter if rule == "shorter" else 1 - shorter
    return Agreement(
        pairs=len(margins),
        prompts=int(clusters.max()) + 1,
        ties=int((margins == 0).sum()),
        accuracy=proportion(hits, clusters),
        length_rule=rule,
        length_accuracy=proportion(by_length, clusters),
        above_length=mean_estimate(hits - by_length, clusters),
        calibration=calibrate(margins, clusters),
        length=_length_bias(float(rewards.std()), margins, sizes, clusters),
    )


def number_clusters(keys: Sequence[str]) -> NDArray[np.intp]:
    """Keys as numbers from 0. Raises AgonError `data_invalid` for fewer than two different ones."""
    names, numbers = np.unique(np.asarray(keys), return_inverse=True)
    if len(names) < 2:
        raise AgonError("data_invalid", f"{len(keys)} pairs of {len(names)} prompts give no interval")
    return numbers


def standard_error(residuals: Vector, clusters: NDArray[np.intp]) -> float:
    """Of a mean with these residuals, whatever the dependence inside clusters: [pairs] each.

    sqrt(G / (G - 1) * sum_g (sum_i e_gi)^2) / n (Liang and Zeger 1986).
    """
    sums = np.bincount(clusters, weights=residuals)
    groups = int(clusters.max()) + 1
    return math.sqrt(groups / (groups - 1) * float(sums @ sums)) / len(residuals)


def mean_estimate(values: Vector, clusters: NDArray[np.intp]) -> Estimate:
    """Mean with a clustered normal interval."""
    middle = float(values.mean())
    reach = Z95 * standard_error(values - middle, clusters)
    return Estimate(value=middle, low=middle - reach, high=middle + reach)


def proportion(hits: Vector, clusters: NDArray[np.intp]) -> Estimate:
    """Share of hits with Wilson's interval, on as many independent pairs as the clusters are worth.

    n_eff = p (1 - p) / se^2, at most the pairs; the clusters when all pairs agree.
    """
    p, error = float(hits.mean()), standard_error(hits - hits.mean(), clusters)
    n = min(float(len(hits)), p * (1 - p) / error**2) if error > 0 else float(clusters.max() + 1)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    reach = Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    return Estimate(value=p, low=max(0.0, centre - reach), high=min(1.0, centre + reach))


def calibrate(margins: Vector, clusters: NDArray[np.intp]) -> Calibration:
    """Calibration of sigmoid(margin), where a positive margin agrees with people."""
    losses = np.logaddexp(0, -margins)
    confidence = 1 / (1 + np.exp(-np.abs(margins)))
    hits = _hits(margins)
    places = np.minimum(((confidence - 0.5) * 2 * BINS).astype(int), BINS - 1)
    bins = tuple(
        Bin(
            low=0.5 + place / (2 * BINS),
            high=0.5 + (place + 1) / (2 * BINS),
            pairs=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(hits[inside].mean()),
        )
        for place in range(BINS)
        if (inside := places == place).any()
    )
    temperature = best_temperature(margins)
    return Calibration(
        log_loss=mean_estimate(losses, clusters),
        ece=sum(part.pairs * abs(part.accuracy - part.confidence) for part in bins) / len(margins),
        temperature=temperature,
        log_loss_at_temperature=float(np.logaddexp(0, -margins / temperature).mean()),
        bins=bins,
    )


def best_temperature(margins: Vector) -> float:
    """T in [1 / HOTTEST, HOTTEST] of the least mean log(1 + exp(-margin / T)) (Guo et al. 2017).

    Convex in 1 / T, so the sign of its slope there is halved in on.
    """
    low, high = 1 / HOTTEST, HOTTEST
    for _ in range(60):
        middle = math.sqrt(low * high)
        falling = float((margins / (1 + np.exp(np.clip(margins * middle, -500, 500)))).mean()) > 0
        low, high = (middle, high) if falling else (low, middle)
    return 1 / math.sqrt(low * high)


def _hits(differences: Vector) -> Vector:
    """1 above zero, 0 below, .5 at a tie."""
    return (np.sign(differences) + 1) / 2


def _length_bias(sd: float, margins: Vector, sizes: Vector, clusters: NDArray[np.intp]) -> LengthBias:
    """Regression of the reward difference on the difference of log length, and accuracy by which is longer.

    The intercept is what people's preference is worth at equal length.
    """
    longer = np.log(sizes[:, 0]) - np.log(sizes[:, 1])
    centred = longer - longer.mean()
    spread = float(centred @ centred)
    slope = None
    if spread > 0 and sd > 0:
        y = margins / sd
        value = float(centred @ y) / spread
        rest = y - y.mean() - value * centred
        reach = Z95 * standard_error(centred * rest, clusters) * len(y) / spread
        slope = Estimate(value=value, low=value - reach, high=value + reach)
    return LengthBias(
        slope=slope,
        shorter_is_better=_proportion_of(margins, longer < 0, clusters),
        longer_is_better=_proportion_of(margins, longer > 0, clusters),
    )


def _proportion_of(margins: Vector, inside: NDArray[np.bool_], clusters: NDArray[np.intp]) -> Estimate | None:
    own = np.unique(clusters[inside], return_inverse=True)[1]
    if len(own) == 0 or own.max() == 0:
        return None
    return proportion(_hits(margins[inside]), own)
