"""The duel: a pure stepper from rows to the next prompts, a carry or a verdict.

Its whole state is its rows, and `decide` replays all of them each time, so a process killed at any
point loses nothing and every validator with the same rows decides the same. Miner's dry run and
validator call the same lines. It draws no prompts, runs no policy and stores nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from shared.protocol.competition import Competition
from shared.protocol.verdict import Outcome, Reason, Verdict
from shared.stats.confirmation import Confirmation, confirm, slice_results
from shared.stats.eprocess import confidence_sequence, log_wealth, log_wealth_path
from shared.stats.payout import probit_gain
from shared.stats.rows import Batch, Floats, Plan, Row, batch_size, rows_of

Rounds = Sequence[Sequence[Batch]]
"""The batches of a duel: one sequence for its first round and for each round it was carried into."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one duel is decided by. All counts are prompts, and whole batches except `identity`."""

    margin: float
    alpha: float
    """This duel's own share of the error budget (`alpha_share`)."""
    beta: float
    planning_effect: float
    look: int
    min: int
    max: int
    carried_rounds: int
    gain: int
    identity: int
    slice_tolerance: float
    kl_budget: float
    plan: Plan

    def __post_init__(self) -> None:
        size = batch_size(self.plan)
        if any(count % size for count in (self.look, self.min, self.max, self.gain)):
            raise ValueError(f"look, min, max and gain must be whole batches of {size} prompts")
        if self.max % self.look or not 0 < self.look <= self.min <= self.max:
            raise ValueError("prompts must satisfy look <= min <= max, and max be a multiple of look")
        if self.gain < max(3, 2 * size) or self.identity < 1 or self.carried_rounds < 0:
            raise ValueError(
                "gain needs two batches and three prompts, identity one prompt, carried_rounds no less than 0"
            )
        if not (0.0 < self.alpha < 1.0 and 0.0 < self.beta < 1.0):
            raise ValueError("alpha and beta must lie in (0, 1)")
        if not (0.0 <= self.margin < self.planning_effect < 1.0):
            raise ValueError("the planning effect must lie between margin and 1")

    @classmethod
    def of(cls, rules: Competition, alpha: float) -> Terms:
        """The terms of a duel under `rules` with its own `alpha`."""
        duel, counts = rules.duel, rules.duel.prompts
        return cls(
            margin=duel.margin,
            alpha=alpha,
            beta=duel.beta,
            planning_effect=duel.planning_effect,
            look=counts.look,
            min=counts.min,
            max=counts.max,
            carried_rounds=counts.carried_rounds,
            gain=counts.gain,
            identity=counts.identity,
            slice_tolerance=duel.slice_tolerance,
            kl_budget=rules.judging.kl_budget,
            plan=tuple((part.name, part.per_batch) for part in rules.slices),
        )


@dataclass(frozen=True, slots=True)
class More:
    """The duel needs this many further batches of its current round before anything can be decided."""

    batches: int


@dataclass(frozen=True, slots=True)
class Carry:
    """The round's prompts are used up; the duel goes on in the next round with fresh ones."""

    reason: Literal["open"] = "open"


class Look(NamedTuple):
    """What a look at the evidence shows: one point of the interval path that is published at once."""

    prompts: int
    """Test rows seen."""
    mean: float
    lower: float
    upper: float
    log_wealth: float


Decision = More | Carry | Verdict

Stop = Literal["crossed", "worse", "futile", "indistinguishable"]


def decide(terms: Terms, rounds: Rounds) -> Decision:
    """The next step of a duel, from all rows it has taken so far.

    Rows beyond the point of decision are ignored, so the answer does not depend on how rows were
    batched. Raises ValueError for batches of another plan, and for rounds that this duel cannot have had.
    """
    played = _rows_by_round(terms, rounds)
    test = [row for rows in played for row in rows[: terms.max]]
    end, stop = _first_stop(terms, test)
    if stop == "crossed":
        return _settle_crossing(terms, played, test[:end])
    if stop is not None:
        return _verdict(terms, test[:end], "lost" if stop == "worse" else "unproven", stop)
    if any(len(rows) < terms.max for rows in played[:-1]) or len(played) > terms.carried_rounds + 1:
        raise ValueError("an open duel enters a further round only when its last one is used up")
    if len(played[-1]) < terms.max:
        return More(_next_stop(terms, test) // batch_size(terms.plan))
    if len(played) <= terms.carried_rounds:
        return Carry()
    return _verdict(terms, test, "unproven", "exhausted")


def look_at(terms: Terms, rounds: Rounds) -> Look:
    """The evidence after all test rows, for display; it decides nothing. Raises as `decide`."""
    test = [row for rows in _rows_by_round(terms, rounds) for row in rows[: terms.max]]
    return _look(terms, test[: _first_stop(terms, test)[0]])


def _rows_by_round(terms: Terms, rounds: Rounds) -> list[list[Row]]:
    if any(batch.plan != terms.plan for batches in rounds for batch in batches):
        raise ValueError("a batch follows another plan than the duel's terms")
    return [list(rows_of(batches)) for batches in rounds] or [[]]


def _identity_end(terms: Terms) -> int:
    """Rows after which the identity stop is read: the batch end at or after `identity` prompts."""
    size = batch_size(terms.plan)
    return math.ceil(terms.identity / size) * size


def _first_stop(terms: Terms, test: Sequence[Row]) -> tuple[int, Stop | None]:
    """Where the test phase ends and why; (rows at hand, None) while it is open."""
    end, stop = first_threshold(terms, np.array([row.d for row in test], dtype=np.float64))
    same_end = _identity_end(terms)
    if same_end <= end and all(row.identical for row in test[: terms.identity]):
        return same_end, "indistinguishable"
    return end, stop


def first_threshold(terms: Terms, test: Floats) -> tuple[int, Stop | None]:
    """The first look at which a wealth process stands at its threshold; (rows at hand, None) if none.

    `test` holds d of the test rows, shape (rows,). A crossing counts from `min` on; lost and futile are
    read at every look. Lost is the upper bound of the interval of level 1 - alpha below 0, and so twice as
    hard to reach as 1 / alpha.
    """
    ends = range(terms.look, len(test) + 1, terms.look)
    if not ends:
        return len(test), None
    d = test[: ends[-1]]
    crossed = log_wealth_path(d, terms.margin, ends) >= -math.log(terms.alpha)
    crossed &= np.asarray(ends) >= terms.min
    worse = log_wealth_path(d, 0.0, ends, null="at_least") >= math.log(2.0 / terms.alpha)
    futile = log_wealth_path(d, terms.planning_effect, ends, null="at_least") >= -math.log(terms.beta)
    stopped = np.flatnonzero(crossed | worse | futile)
    if not stopped.size:
        return len(test), None
    at = int(stopped[0])
    return ends[at], "crossed" if crossed[at] else "worse" if worse[at] else "futile"


def _next_stop(terms: Terms, test: Sequence[Row]) -> int:
    """Rows still missing to the next look, or to the identity stop while every answer was the same."""
    missing = terms.look - len(test) % terms.look
    to_identity = _identity_end(terms) - len(test)
    if 0 < to_identity < missing and all(row.identical for row in test):
        return to_identity
    return missing


def confirm_by(terms: Terms, fresh: Sequence[Row]) -> Confirmation:
    """The confirmation of a crossing on fresh rows, by a duel's terms. Raises as `confirm`."""
    return confirm(
        fresh,
        terms.plan,
        margin=terms.margin,
        slice_tolerance=terms.slice_tolerance,
        kl_budget=terms.kl_budget,
    )


def _settle_crossing(terms: Terms, played: Sequence[Sequence[Row]], test: Sequence[Row]) -> Decision:
    """Confirmation on the rows that follow the crossing in its own round; they may run beyond `max`."""
    index = (len(test) - 1) // terms.max
    start = len(test) - index * terms.max
    fresh = played[index][start : start + terms.gain]
    if len(fresh) < terms.gain:
        if index + 1 < len(played):
            raise ValueError("a confirmation finishes in the round of its crossing")
        return More((terms.gain - len(fresh)) // batch_size(terms.plan))
    found = confirm_by(terms, fresh)
    if found.failed is not None:
        return _verdict(terms, test, "unproven", found.failed, fresh=fresh, found=found)
    return _verdict(terms, test, "won", "confirmed", fresh=fresh, found=found)


def _look(terms: Terms, test: Sequence[Row]) -> Look:
    d = np.array([row.d for row in test], dtype=np.float64)
    lower, upper = confidence_sequence(d, terms.alpha)
    mean = float(d.mean()) if len(d) else 0.0
    return Look(len(d), mean, lower, upper, log_wealth(d, terms.margin))


def _verdict(
    terms: Terms,
    test: Sequence[Row],
    outcome: Outcome,
    reason: Reason,
    *,
    fresh: Sequence[Row] = (),
    found: Confirmation | None = None,
) -> Verdict:
    """The whole verdict; interval and wealth from the test rows, the rest from all rows."""
    look = _look(terms, test)
    rows = [*test, *fresh]
    wins = sum(1.0 if row.d > 0.0 else 0.5 if row.d == 0.0 else 0.0 for row in rows)
    gain = probit_gain(found.bound, found.champion_mean) if found and outcome == "won" else 0.0
    return Verdict(
        outcome=outcome,
        reason=reason,
        prompts=len(rows),
        mean=look.mean,
        lower=look.lower,
        upper=look.upper,
        win_rate=wins / len(rows),
        gain=gain,
        gain_bound=found.bound if found else None,
        champion_mean=found.champion_mean if found else None,
        alpha=terms.alpha,
        log_wealth=look.log_wealth,
        slices=found.slices if found else slice_results(test, terms.plan),
        kl=sum(row.kl for row in rows) / len(rows),
        extra_tokens=sum(row.extra_tokens for row in rows) / len(rows),
    )
