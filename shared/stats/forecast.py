"""Forecasts: the chance that a duel is won, played from rows that were measured already.

A miner's dry run asks before it submits. Duels are played on rows resampled from the measured batches, by
the rule of `duel.decide` over many runs at once; a test holds the two to the same answer. Pure: the
generator is handed in, and nothing here knows where rows come from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.protocol.verdict import Reason
from shared.stats.duel import Terms, confirm_by
from shared.stats.eprocess import BETS, Null, log_growth
from shared.stats.rows import Batch, Floats, Row, batch_means, batch_size, mean_and_error

Picks = npt.NDArray[np.intp]
"""Indices of measured batches, shape (runs, rounds, batches of a round: max + gain)."""

INTERVAL_QUANTILE = 1.6449
"""Two-sided 90% normal quantile."""

CHUNK_RUNS = 64
"""Runs whose wealth is held in memory at once."""


class End(NamedTuple):
    """How one played duel ended."""

    reason: Reason
    prompts: int
    """Rows used in all, confirmation included."""
    round: int
    """Round of its own in which it ended, from 0."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What resampled duels say of the next real one."""

    rows: int
    """Measured rows that it rests on."""
    mean: float
    """Mean d of these rows."""
    lower: float
    upper: float
    """Two-sided 90% normal interval of mean d, from batch means; -1 and 1 below two batches."""
    runs: int
    win_first: float
    """Share of played duels won in their first round."""
    win: float
    """Share won at all, carried rounds included."""
    win_error: float
    """Standard error of `win` from the number of runs alone."""
    prompts_to_win: int | None
    """Median prompts of the duels that were won; none when none was."""
    reasons: dict[Reason, float]
    """Share of every way to end, the most frequent first."""


def forecast(
    terms: Terms, measured: Sequence[Batch], rng: np.random.Generator, *, runs: int = 1000
) -> Forecast:
    """Play `runs` duels under `terms` on rows like the `measured` ones.

    Each run first resamples the measured batches whole, which stands for not knowing the true policy, and
    then draws its rows from these (two-level block bootstrap: Davison and Hinkley 1997, 3.8). Blocks stay
    whole, so a slice keeps its share. Raises ValueError without batches, or for batches of another plan.
    """
    if not measured or any(batch.plan != terms.plan for batch in measured):
        raise ValueError("a forecast needs measured batches of the duel's own plan")
    ends = play(terms, measured, resample(terms, len(measured), rng, runs))
    won = [end for end in ends if end.reason == "confirmed"]
    share = len(won) / runs
    d = np.array([row.d for batch in measured for row in batch.rows])
    mean, error = mean_and_error(batch_means(d, terms.plan))
    reach = INTERVAL_QUANTILE * error
    counts = Counter(end.reason for end in ends)
    return Forecast(
        rows=len(d),
        mean=mean,
        lower=max(-1.0, mean - reach),
        upper=min(1.0, mean + reach),
        runs=runs,
        win_first=sum(end.round == 0 for end in won) / runs,
        win=share,
        win_error=math.sqrt(share * (1.0 - share) / runs),
        prompts_to_win=int(np.median([end.prompts for end in won])) if won else None,
        reasons={reason: count / runs for reason, count in counts.most_common()},
    )


def resample(terms: Terms, batches: int, rng: np.random.Generator, runs: int) -> Picks:
    """For each run, rows enough for every round it may have, from its own resampling of `batches` batches."""
    rounds = terms.carried_rounds + 1
    length = (terms.max + terms.gain) // batch_size(terms.plan)
    worlds = rng.integers(batches, size=(runs, batches))
    drawn = rng.integers(batches, size=(runs, rounds * length))
    return np.take_along_axis(worlds, drawn, axis=1).reshape(runs, rounds, length)


def play(terms: Terms, measured: Sequence[Batch], picks: Picks) -> list[End]:
    """Every run of `picks` to its end; the same as `decide` on the batches that it names."""
    ends: list[End] = []
    for start in range(0, len(picks), CHUNK_RUNS):
        ends += _play_chunk(terms, measured, picks[start : start + CHUNK_RUNS])
    return ends


def _play_chunk(terms: Terms, measured: Sequence[Batch], picks: Picks) -> list[End]:
    size = batch_size(terms.plan)
    test = picks[:, :, : terms.max // size].reshape(len(picks), -1)
    looks = np.arange(terms.look, test.shape[1] * size + 1, terms.look)
    crossed = _wealth(terms, measured, test, terms.margin, "at_most") >= -math.log(terms.alpha)
    crossed &= looks >= terms.min
    worse = _wealth(terms, measured, test, 0.0, "at_least") >= math.log(2.0 / terms.alpha)
    futile = _wealth(terms, measured, test, terms.planning_effect, "at_least") >= -math.log(terms.beta)
    stopped = crossed | worse | futile
    same = _all_identical(terms, measured, test)
    same_end = math.ceil(terms.identity / size) * size
    ends = []
    for run in range(len(picks)):
        at = int(stopped[run].argmax())
        open_still = not stopped[run, at]
        prompts = test.shape[1] * size if open_still else int(looks[at])
        if same[run] and same_end <= prompts:
            ends.append(_end(terms, "indistinguishable", same_end))
        elif open_still:
            ends.append(_end(terms, "exhausted", prompts))
        elif crossed[run, at]:
            ends.append(_confirm(terms, measured, picks[run], prompts))
        else:
            ends.append(_end(terms, "worse" if worse[run, at] else "futile", prompts))
    return ends


def _wealth(terms: Terms, measured: Sequence[Batch], test: Picks, mean: float, null: Null) -> Floats:
    """Log wealth at every look, shape (runs, looks)."""
    size = batch_size(terms.plan)
    d = np.array([row.d for batch in measured for row in batch.rows])
    table = log_growth(d, mean, null=null).reshape(len(BETS), len(measured), size).sum(axis=2).T
    by_look = table[test].reshape(len(test), -1, terms.look // size, len(BETS)).sum(axis=2)
    return np.asarray(np.logaddexp.reduce(by_look.cumsum(axis=1), axis=2) - math.log(len(BETS)))


def _all_identical(terms: Terms, measured: Sequence[Batch], test: Picks) -> npt.NDArray[np.bool_]:
    """Whether the first `identity` rows of each run were answered alike."""
    whole, rest = divmod(terms.identity, batch_size(terms.plan))
    full = np.array([all(row.identical for row in batch.rows) for batch in measured])
    head = np.array([all(row.identical for row in batch.rows[:rest]) for batch in measured])
    same = full[test[:, :whole]].all(axis=1)
    if rest and whole < test.shape[1]:
        same = same & head[test[:, whole]]
    return np.asarray(same)


def _confirm(terms: Terms, measured: Sequence[Batch], rounds: Picks, crossing: int) -> End:
    """The end of a duel that crossed after `crossing` test rows, by the real confirmation."""
    size = batch_size(terms.plan)
    index = (crossing - 1) // terms.max
    start = (crossing - index * terms.max) // size
    fresh: list[Row] = []
    for pick in rounds[index, start : start + terms.gain // size]:
        fresh.extend(measured[int(pick)].rows)
    found = confirm_by(terms, fresh)
    return End(found.failed or "confirmed", crossing + terms.gain, index)


def _end(terms: Terms, reason: Reason, prompts: int) -> End:
    return End(reason, prompts, (prompts - 1) // terms.max)
