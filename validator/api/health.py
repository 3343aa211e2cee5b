"""Health: one truthful verdict on whether the loop lives and its work goes on.

Pure: it judges what `answers.py` read from the ledger against the clock that it is handed. A state that
cannot be read counts as down, never as fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.protocol.competition import Competition
from shared.protocol.health import (
    EventRef,
    HeadHealth,
    Health,
    ParkedSubmission,
    RoundRef,
    Status,
    WeightsHealth,
    WeightsState,
)
from shared.types import Hotkey, RoundNumber
from validator.api.views import view_problem
from validator.ledger.tables import EventRow, MetaRow, RoundRow, SubmissionRow, WeightSetRow

LATE_BLOCKS = 5
"""Without a new block for longer the validator is degraded."""

DEAD_BLOCKS = 50
"""Without a new block for longer it is down: ten minutes at 12 seconds."""

LEAST_AGE_S = 60
"""Age below which a head is never called late, however short the blocks of a development chain are."""

HELD_UP = frozenset({"failed", "waiting", "waiting_permit"})
"""States of the weights in which nothing reaches the chain until somebody acts."""


@dataclass(frozen=True)
class HealthFacts:
    """What the ledger says about the validator's work."""

    meta: MetaRow
    rules: Competition | None
    newest_round: RoundRow | None
    oldest_unsettled: RoundRow | None
    newest_event: EventRow | None
    last_verdict_block: int | None
    weights: WeightSetRow | None
    weights_event: EventRow | None
    """Newest entry of the feed about weights."""
    parked: Sequence[SubmissionRow]


def judge_health(facts: HealthFacts, now_s: int, block_time_s: float) -> Health:
    """The health of a ledger that could be read, at Unix time `now_s`."""
    meta = facts.meta
    head = view_head(meta, now_s, block_time_s)
    weights = view_weights_health(facts.weights, facts.weights_event)
    late = _unsettled_past_deadline(facts)
    head_status, head_reason = _judge_head(head)
    complaints = [
        head_reason,
        "no competition is in force" if facts.rules is None else None,
        f"round {late} is not settled past its deadline" if late is not None else None,
        f"weights: {weights.reason or weights.state}" if weights.state in HELD_UP else None,
        f"{len(facts.parked)} submission(s) parked" if facts.parked else None,
    ]
    reasons = tuple(complaint for complaint in complaints if complaint)
    status: Status = "down" if head_status == "down" else "degraded" if reasons else "ok"
    unsettled = facts.oldest_unsettled
    return Health(
        status=status,
        reasons=reasons,
        checked_at=now_s,
        ledger="readable",
        netuid=meta.netuid,
        hotkey=Hotkey(meta.hotkey),
        head=head,
        newest_round=_view_round(facts.newest_round),
        newest_event=_view_event(facts.newest_event),
        last_verdict_block=facts.last_verdict_block,
        oldest_unsettled_round=None if unsettled is None else RoundNumber(unsettled.number),
        weights=weights,
        parked=tuple(_view_parked(row) for row in facts.parked),
    )


def unreadable(reason: str, now_s: int) -> Health:
    """The health of a validator whose ledger cannot be read."""
    return Health(status="down", reasons=(reason,), checked_at=now_s, ledger="unreadable")


def view_head(meta: MetaRow, now_s: int, block_time_s: float) -> HeadHealth | None:
    """The newest head with its age; none while the loop has seen no block."""
    if meta.head_time == 0:
        return None
    age_s = max(0, now_s - meta.head_time)
    blocks = int(age_s / block_time_s)
    return HeadHealth(block=meta.head, seen_at=meta.head_time, age_s=age_s, age_blocks=blocks)


def view_weights_health(row: WeightSetRow | None, event: EventRow | None) -> WeightsHealth:
    """Where the newest vector is, or what keeps the next one from being planned."""
    waits = event is not None and event.kind == "weights.waiting"
    if event is not None and waits and (row is None or event.created_block > row.created_block):
        reason = str(event.body.get("reason"))
        state: WeightsState = "waiting_permit" if "permit" in reason else "waiting"
        return WeightsHealth(state=state, reason=reason, block=event.created_block)
    if row is None:
        return WeightsHealth(state="none")
    block = row.created_block if row.done_block is None else row.done_block
    same = {"state": row.state, "reason": row.reason, "round": row.round}
    return WeightsHealth.model_validate({**same, "block": block})


def _judge_head(head: HeadHealth | None) -> tuple[Status, str | None]:
    if head is None:
        return "down", "the loop has not seen a block yet"
    if head.age_s <= LEAST_AGE_S or head.age_blocks <= LATE_BLOCKS:
        return "ok", None
    reason = f"no new block for {head.age_s} s"
    dead = head.age_blocks > DEAD_BLOCKS and head.age_s > 2 * LEAST_AGE_S
    return ("down" if dead else "degraded"), reason


def _unsettled_past_deadline(facts: HealthFacts) -> int | None:
    """The oldest unsettled round, when it should have been adopted by now."""
    row, rules = facts.oldest_unsettled, facts.rules
    if row is None or rules is None:
        return None
    schedule = rules.schedule
    deadline = schedule.close(RoundNumber(row.number + 1)) + schedule.grace_blocks
    return row.number if facts.meta.head > deadline else None


def _view_round(row: RoundRow | None) -> RoundRef | None:
    if row is None:
        return None
    same = {"number": row.number, "close_block": row.close_block, "state": row.state}
    return RoundRef.model_validate(same)


def _view_event(row: EventRow | None) -> EventRef | None:
    if row is None:
        return None
    # a verdict's kind names its outcome, which may still be sealed
    kind = "verdict" if row.kind.startswith("verdict.") else row.kind
    return EventRef(id=row.id, kind=kind, block=row.created_block)


def _view_parked(row: SubmissionRow) -> ParkedSubmission:
    return ParkedSubmission(
        hotkey=Hotkey(row.hotkey),
        commit_block=row.commit_block,
        round=None if row.round is None else RoundNumber(row.round),
        problem=view_problem(row),
    )
