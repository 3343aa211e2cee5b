"""Transitions of the weights outbox: planned, submitted, confirmed or failed.

A row is written before anything is sent. After a crash the chain is asked what became of the open row
before another is planned; at most one row is open at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.errors import AgonError
from shared.types import Hotkey, Uid
from validator.ledger.tables import WeightSetRow
from validator.ledger.transitions import head_of, tell

OPEN = ("planned", "submitted")
NEVER = -(2**31)
"""A block before all blocks."""


def open_set(session: Session) -> WeightSetRow | None:
    """The row whose fate is not known yet."""
    return session.scalars(select(WeightSetRow).where(WeightSetRow.state.in_(OPEN))).one_or_none()


def newest_failure(session: Session) -> int:
    """Head at which the newest row failed, if it did: a refusal is not repeated at every block."""
    row = session.scalars(select(WeightSetRow).order_by(WeightSetRow.id.desc()).limit(1)).first()
    return NEVER if row is None or row.state != "failed" else row.done_block or 0


def plan_set(
    session: Session,
    round_number: int,
    vector: Mapping[Hotkey, float],
    uids: Mapping[Uid, int],
    since_block: int,
) -> int:
    """Write down what will be sent; returns the row's id. Raises `ledger_conflict` over an open row."""
    if open_set(session) is not None:
        raise AgonError("ledger_conflict", "a weight set is still open")
    row = WeightSetRow(
        round=round_number,
        vector=dict(vector),
        uids={str(uid): weight for uid, weight in uids.items()},
        state="planned",
        since_block=since_block,
        created_block=head_of(session),
    )
    session.add(row)
    session.flush()
    return row.id


def mark_submitted(session: Session, row_id: int) -> None:
    """Note that the vector was handed to the chain."""
    session.get_one(WeightSetRow, row_id).state = "submitted"


def finish_set(session: Session, row_id: int, *, confirmed: bool, reason: str | None = None) -> None:
    """Note what the chain says became of it."""
    row = session.get_one(WeightSetRow, row_id)
    if row.state not in OPEN:
        return
    row.state, row.reason = ("confirmed" if confirmed else "failed"), reason
    row.done_block = head_of(session)
    tell(session, f"weights.{row.state}", round=row.round, reason=reason)


def note_waiting(session: Session, reason: str) -> None:
    """Tell why no weights are being set."""
    tell(session, "weights.waiting", reason=reason)
