"""The one table along which a submission's state moves, and the feed that tells of it.

Every stage moves submissions through `move`; anything off the table is a programming error and raises.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from shared.errors import AgonError
from validator.ledger.tables import EventRow, MetaRow, SubmissionRow

MOVES: dict[str, frozenset[str]] = {
    "waiting": frozenset({"slotted", "expired"}),
    "slotted": frozenset({"admitted", "rejected", "withheld", "parked"}),
    "parked": frozenset({"slotted", "admitted", "dueling", "rejected"}),
    "admitted": frozenset({"dueling", "parked", "rejected"}),
    "dueling": frozenset({"settled", "parked", "rejected"}),
    "settled": frozenset(),
    "rejected": frozenset(),
    "withheld": frozenset(),
    "expired": frozenset(),
}
"""From each state to those that may follow it."""

FINAL = frozenset(state for state, after in MOVES.items() if not after)


def move(session: Session, submission: SubmissionRow, state: str, **event: Any) -> None:
    """Put `submission` into `state` and tell the feed. Raises AgonError `ledger_conflict` off the table."""
    if state not in MOVES[submission.state]:
        raise AgonError("ledger_conflict", f"a submission cannot go from {submission.state} to {state}")
    submission.state = state
    tell(session, f"submission.{state}", hotkey=submission.hotkey, digest=submission.digest, **event)


def forgive(submission: SubmissionRow) -> None:
    """Forget the faults on the way, now that a step succeeded: they count in a row, and are no outcome."""
    submission.attempts, submission.next_try_block = 0, 0
    submission.code = submission.message = submission.fault = None


def tell(session: Session, kind: str, **body: Any) -> None:
    """Append one event to the feed, stamped with the head of the loop."""
    session.add(EventRow(kind=kind, body=body, created_block=head_of(session)))


def head_of(session: Session) -> int:
    """Newest finalised block that the loop has seen."""
    meta = session.get(MetaRow, 1)
    return 0 if meta is None else meta.head
