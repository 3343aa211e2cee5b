"""From raw judge rewards to one score: standardise, take length out, aggregate, rank, gate.

Pure, one small function per term. The reference statistics are frozen with the competition, so a score
depends on the completion alone and not on what it is compared with.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from shared.errors import AgonError
from shared.protocol.reference import JudgeReference, LengthReference, Reference

CLUSTER_TABLE = 64
"""Fewest reference completions for a percentile table of a cluster's own."""
PENALISED_JUDGES = 3
"""Fewest judges whose spread is a measurement: with two, the standard deviation is noise."""


def standardise(reward: float, mean: float, sd: float) -> float:
    """z = (r - mu) / sigma over the reference completions.

    Raises AgonError `judge_non_finite`: such a number must never enter a comparison.
    """
    if not math.isfinite(reward):
        raise AgonError("judge_non_finite", f"a judge returned {reward}")
    return (reward - mean) / sd


def length_term(tokens: int, cluster: str, lengths: LengthReference) -> float:
    """x = (len - len_x) / tau: how far a length is from the usual one, in spreads within a prompt."""
    centre = lengths.cluster_means.get(cluster, lengths.mean)
    return (tokens - centre) / lengths.within_sd


def length_pay(term: float, curve: Sequence[tuple[float, float]]) -> float:
    """What a judge pays for a length by its curve: linear between the points, flat beyond them.

    Bounded and never falling, so no length can pay without bound, and a judge that prefers short completions,
    whose curve is empty, is left alone.
    """
    if not curve:
        return 0.0
    place = bisect_right(curve, term, key=lambda point: point[0])
    if place in {0, len(curve)}:
        return curve[min(place, len(curve) - 1)][1]
    (x0, z0), (x1, z1) = curve[place - 1], curve[place]
    return z0 + (z1 - z0) * (term - x0) / (x1 - x0)


def judge_z(
    reward: float, tokens: int, cluster: str, judge: JudgeReference, lengths: LengthReference
) -> float:
    """Standardised, length-residualised reward of one judge."""
    z = standardise(reward, judge.mean, judge.sd)
    return z - length_pay(length_term(tokens, cluster, lengths), judge.length_curve)


def aggregate(
    z: Mapping[str, float], coefficients: Mapping[str, float], disagreement_penalty: float
) -> float:
    """u = sum_k w_k z_k / sum_k w_k - lambda * sd_k(z_k); lambda counts from three judges up.

    Disagreement costs, because a completion that hacks one judge splits them (Coste et al. 2024, reward
    model ensembles; the population standard deviation is used).
    """
    total = sum(coefficients[name] for name in z)
    mean = sum(coefficients[name] * value for name, value in z.items()) / total
    if len(z) < PENALISED_JUDGES:
        return mean
    middle = sum(z.values()) / len(z)
    variance = sum((value - middle) ** 2 for value in z.values()) / len(z)
    return mean - disagreement_penalty * math.sqrt(variance)


def midrank(value: float, table: Sequence[float]) -> float:
    """Midrank percentile of `value` in a sorted table: (#below + #equal / 2) / n, in [0, 1]."""
    return (bisect_left(table, value) + bisect_right(table, value)) / (2 * len(table))


def percentile(u: float, cluster: str, reference: Reference) -> float:
    """phi(u): midrank among the reference completions of the cluster, or of the slice when they are few."""
    own = reference.u_clusters.get(cluster, ())
    table = own if len(own) >= CLUSTER_TABLE else reference.u_all
    if not table:
        raise AgonError("bundle_damaged", f"slice {reference.slice} has no reference scores")
    return midrank(u, table)


def gated_score(s: float, gates: Sequence[str], ceiling: float) -> float:
    """The score after the gates: at most `ceiling` once one closed, never more than it was.

    The ceiling is the gated percentile on judged slices and 0 on verifier slices.
    """
    return min(s, ceiling) if gates else s
