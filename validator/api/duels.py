"""Views of duels: what may be told of one while its rows are sealed.

Pure builders, called with rows and sums from `answers.py`. Evidence of a round is told once the round is
settled here or every validator has committed its own account, so that nobody can copy a verdict; rows
themselves stay sealed, and numbers of few rows are left out, so that nobody can learn a judge from them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.protocol.api import DuelSummary, DuelView, PathPoint, RecordView, SlicePoint
from shared.protocol.competition import Competition
from shared.protocol.verdict import Verdict
from shared.stats.eprocess import confidence_sequence, log_wealth_path
from shared.types import RoundNumber, SliceName
from validator.api.explain import explain_duel, needed_to_win
from validator.ledger.tables import DuelRow, RecordRow

PATH_POINTS = 24
"""Most looks on an interval path: each costs two root searches over all rows before it."""

FEWEST_PROMPTS = 16
"""Fewest prompts behind a published aggregate: a mean of few rows would give single scores away."""


@dataclass(frozen=True)
class SliceSum:
    """One slice of one round of a duel: its prompts, and sums over them."""

    round: int
    name: str
    prompts: int
    d: float
    kl: float
    extra_tokens: float


@dataclass(frozen=True)
class DuelFacts:
    """Everything that the view of a duel is made of."""

    row: DuelRow
    rules: Competition
    sums: Sequence[SliceSum]
    sealed: Mapping[int, int]
    """Rounds of the duel that are not open, and the block that opens each."""
    record: RecordRow | None

    @property
    def open_sums(self) -> list[SliceSum]:
        """Sums over the rounds that may be told."""
        return [part for part in self.sums if part.round not in self.sealed]


def summarise_duel(facts: DuelFacts) -> DuelSummary:
    """A duel as far as it may be told: no verdict while one of its rounds is sealed."""
    row, opens_at = facts.row, max(facts.sealed.values(), default=None)
    stored = None if opens_at is not None or row.verdict is None else Verdict.model_validate(row.verdict)
    return DuelSummary.model_validate(
        {
            "id": row.id,
            "hotkey": row.hotkey,
            "commit_block": row.commit_block,
            "challenger": row.challenger,
            "champion": row.champion,
            "round": row.round,
            "state": row.state,
            "prompts": sum(part.prompts for part in facts.sums),
            "alpha": row.alpha,
            "threshold": -math.log(row.alpha),
            "opens_at_block": opens_at,
            "verdict": None if stored is None else stored.published(),
        }
    )


def view_duel(facts: DuelFacts, d: Sequence[float], root: str | None) -> DuelView:
    """A duel with path and aggregates; `d` holds the differences of its open rounds' rows, in order."""
    summary = summarise_duel(facts)
    counts, margin = facts.rules.duel.prompts, facts.rules.duel.margin
    path = interval_path(tuple(d), summary.alpha, margin, counts.look, counts.min)
    parts = facts.open_sums
    prompts = sum(part.prompts for part in parts)
    return DuelView.model_validate(
        {
            **summary.model_dump(),
            "log_wealth": path[-1].log_wealth if path else None,
            "path": path,
            "slices": _view_slices(parts),
            "kl": sum(part.kl for part in parts) / prompts if prompts >= FEWEST_PROMPTS else None,
            "extra_tokens": sum(part.extra_tokens for part in parts) / prompts
            if prompts >= FEWEST_PROMPTS
            else None,
            "rows": {"count": summary.prompts, "root": root, "sealed_until_round": _sealed_until(facts)},
            "explanation": explain_duel(summary, facts.rules, crowned=facts.record is not None),
            "to_win": needed_to_win(summary.verdict, facts.rules),
        }
    )


@functools.lru_cache(maxsize=64)
def interval_path(
    d: tuple[float, ...], alpha: float, margin: float, look: int, least: int
) -> tuple[PathPoint, ...]:
    """The interval after each look at the test rows, rounded to 0.0001.

    It is thinned to `PATH_POINTS`, each `FEWEST_PROMPTS` or more after the one before. Rows after the
    first crossing at `least` rows or more are confirmation rows, and no look counts them.
    """
    values = np.asarray(d, dtype=np.float64)
    ends = list(range(look, len(values) + 1, look))
    if not ends:
        return ()
    wealth = log_wealth_path(values, margin, ends)
    crossed = [i for i, end in enumerate(ends) if end >= least and wealth[i] >= -math.log(alpha)]
    last = crossed[0] if crossed else len(ends) - 1
    apart = math.ceil(FEWEST_PROMPTS / look)
    told = [i for i in range(last, -1, -apart) if ends[i] >= FEWEST_PROMPTS][::-1]
    chosen = [told[round(i)] for i in np.linspace(0, len(told) - 1, min(len(told), PATH_POINTS))]
    points = []
    for i in chosen:
        seen = values[: ends[i]]
        lower, upper = confidence_sequence(seen, alpha)
        numbers = (float(seen.mean()), lower, upper, float(wealth[i]))
        mean, lower, upper, log_wealth = (round(number, 4) for number in numbers)
        points.append(PathPoint(prompts=ends[i], mean=mean, lower=lower, upper=upper, log_wealth=log_wealth))
    return tuple(points)


def view_record(record: RecordRow, duel: DuelRow) -> RecordView:
    """A record with the verdict that it rests on."""
    stored = None if duel.verdict is None else Verdict.model_validate(duel.verdict)
    fields = ("mean", "lower", "upper", "win_rate", "prompts")
    shown = {} if stored is None else {name: getattr(stored, name) for name in fields}
    plain = {"duel": record.duel, "model": record.model, "round": record.round, "gain": record.gain}
    return RecordView.model_validate({**plain, **shown})


def _view_slices(parts: Sequence[SliceSum]) -> tuple[SlicePoint, ...]:
    points = []
    for name in sorted({part.name for part in parts}):
        prompts = sum(part.prompts for part in parts if part.name == name)
        total = sum(part.d for part in parts if part.name == name)
        mean = round(total / prompts, 2) if prompts >= FEWEST_PROMPTS else None
        points.append(SlicePoint(name=SliceName(name), prompts=prompts, mean=mean))
    return tuple(points)


def _sealed_until(facts: DuelFacts) -> RoundNumber | None:
    """First round by which every judge that served the duel's last round has had its set rotated."""
    rules = facts.rules
    last = max((part.round for part in facts.sums), default=facts.row.round)
    if all(part.kind != "judges" for part in rules.slices):
        return None
    life = rules.judging.judge_set_rounds
    ends = [
        judge.from_round + life * ((last - judge.from_round) // life + 1)
        for judge in rules.judges
        if judge.from_round <= last
    ]
    return RoundNumber(max(ends)) if ends else None
