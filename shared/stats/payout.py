"""From proven gain to weights: absolute pay that wears off as it is paid, keyed by hotkey.

Pay is tied to progress: a record earns its own size over `full_gain`, never a share of whatever others
left, and what nobody earned is the remainder. Over its life it earns `lifetime_pay`, whenever it comes
and whoever else is paid. The weighing step calls this; UIDs appear only in the last function. Nothing
here reads the chain.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from shared.stats.rows import Floats
from shared.types import Hotkey, Uid

U16_MAX = 65535

PROBIT_CLIP = (0.05, 0.95)
"""Scores are clipped to this range before probits are taken: beyond it percentiles say little."""


@dataclass(frozen=True, slots=True)
class RecordTerm:
    """A record as pay sees it. ValueError for a negative or non-finite number."""

    hotkey: Hotkey
    gain: float
    """Proven gain in probit units, after any anchor cap."""
    age_rounds: int
    """Rounds since the record was set."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain >= 0.0 and self.age_rounds >= 0):
            raise ValueError(f"gain and age must be finite and not negative: {self.gain}, {self.age_rounds}")


@dataclass(frozen=True, slots=True)
class Payout:
    """Shares of the emission; shares and remainder sum to 1."""

    shares: dict[Hotkey, float]
    remainder: float
    """Unearned: it burns."""

    def paid_to(self, registered: Collection[Hotkey]) -> Payout:
        """The payout without hotkeys that are not registered; what they would have earned burns.

        Others' shares stay as they are, so evicting a rival from the subnet raises nobody's pay.
        """
        shares = {hotkey: share for hotkey, share in self.shares.items() if hotkey in registered}
        lost = sum(share for hotkey, share in self.shares.items() if hotkey not in registered)
        return Payout(shares, min(1.0, self.remainder + lost))


def probit_gain(bound: float, champion_mean: float) -> float:
    """(Phi^-1(s + b) - Phi^-1(s)) / sqrt(2 pi) with both arguments clipped; 0 when that is negative.

    `bound` is a lower bound of mean d, `champion_mean` the champion's mean score s on the same rows.
    About equal to `bound` near s = .5; it telescopes over a chain of champions.
    Raises ValueError unless both are finite.
    """
    if not (math.isfinite(bound) and math.isfinite(champion_mean)):
        raise ValueError("bound and champion_mean must be finite")
    rise = ndtri(_clipped(champion_mean + bound)) - ndtri(_clipped(champion_mean))
    return max(0.0, float(rise) / math.sqrt(2.0 * math.pi))


def live_weights(records: Sequence[RecordTerm], full_gain: float, half_life: float) -> Payout:
    """Shares by hotkey: what is left of each gain over max(full_gain, the sum of all that is left).

    What is left follows from the ages alone: every round since the oldest record is paid again, in order.
    A hotkey's records add up. `half_life` is in rounds. Raises ValueError unless both rules are positive.
    """
    oldest_first = sorted(records, key=lambda record: -record.age_rounds)
    births = [record.age_rounds for record in oldest_first]
    left: Floats = np.zeros(0)
    for record, until in zip(oldest_first, [*births[1:], 0], strict=False):
        left = wear(np.append(left, record.gain), full_gain, half_life, rounds=record.age_rounds - until)
    _require_positive(full_gain, half_life)
    live: dict[Hotkey, float] = {}
    for record, worth in zip(oldest_first, left.tolist(), strict=True):
        live[record.hotkey] = live.get(record.hotkey, 0.0) + worth
    total = math.fsum(live.values())
    price = max(full_gain, total)
    shares = {hotkey: worth / price for hotkey, worth in live.items() if worth > 0.0}
    return Payout(shares, (price - total) / price)


def wear(left: Floats, full_gain: float, half_life: float, rounds: int = 1) -> Floats:
    """What is left of the gains `left`, shape (records,), after `rounds` in which all of them were paid.

    Each loses in proportion to its pay: halved over `half_life` rounds while their sum is at most
    `full_gain`, and slower by full_gain / sum above it, when a round pays less for the same gain. So no
    gain is worth more for being brought in pieces or at another time. Raises as `live_weights`.
    """
    _require_positive(full_gain, half_life)
    loss = 1.0 - 2.0 ** (-1.0 / half_life)
    while rounds > 0 and (total := math.fsum(left.tolist())) > full_gain:
        left, rounds = left * (1.0 - loss * full_gain / total), rounds - 1
    return np.asarray(left * 2.0 ** (-rounds / half_life))


def lifetime_pay(gain: float, full_gain: float, half_life: float) -> float:
    """Round-emissions that a record of `gain` earns in all: gain / (full_gain * (1 - 2^(-1 / half_life))).

    It is reached in the limit and never exceeded. Raises as `live_weights`.
    """
    _require_positive(full_gain, half_life)
    return gain / full_gain / -math.expm1(-math.log(2.0) / half_life)


def longest_half_life(gain: float, full_gain: float, pay: float) -> float:
    """Rounds of the half-life at which a record of `gain` earns `pay` round-emissions in all.

    The inverse of `lifetime_pay`. 0 where none is short enough: the first round alone pays gain / full_gain.
    Infinite for a gain of 0. Raises ValueError unless `full_gain` and `pay` are positive and finite.
    """
    _require_positive(full_gain, pay)
    worn = gain / full_gain / pay
    if worn >= 1.0:
        return 0.0
    return math.log(2.0) / -math.log1p(-worn) if worn > 0.0 else math.inf


def anchor_cap(gains: Sequence[float], cap: float) -> tuple[float, ...]:
    """`gains` scaled down in proportion so that their sum is at most `cap`; a negative cap counts as 0.

    The cap is the upper bound of the champion's measured rise over the base, in the same units.
    Raises ValueError for a gain that is negative or not finite, or a cap that is NaN.
    """
    if math.isnan(cap) or not all(math.isfinite(gain) and gain >= 0.0 for gain in gains):
        raise ValueError("gains must be finite and not negative, and the cap a number")
    total = math.fsum(gains)
    factor = 1.0 if total <= max(0.0, cap) else max(0.0, cap) / total
    return tuple(gain * factor for gain in gains)


def to_u16(shares: Mapping[Uid, float]) -> dict[Uid, int]:
    """Shares by UID as the SDK writes them: the largest becomes 65535, and zeros are dropped.

    Raises ValueError for a share that is negative or not finite.
    """
    if not all(math.isfinite(share) and share >= 0.0 for share in shares.values()):
        raise ValueError("shares must be finite and not negative")
    top = max(shares.values(), default=0.0)
    if top == 0.0:
        return {}
    values = {uid: round(share / top * U16_MAX) for uid, share in sorted(shares.items())}
    return {uid: value for uid, value in values.items() if value}


def _require_positive(full_gain: float, rounds: float) -> None:
    if not (0.0 < full_gain < math.inf and 0.0 < rounds < math.inf):
        raise ValueError(f"full_gain and rounds must be positive and finite: {full_gain}, {rounds}")


def _clipped(score: float) -> float:
    low, high = PROBIT_CLIP
    return min(max(score, low), high)
