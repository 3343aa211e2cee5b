"""Transitions of one submission between its slot and its duel: admitted, rejected, withheld, parked.

Each outcome of a fetch or a fault is one function here. A validator's or the network's trouble never
counts against the miner: it postpones, then parks.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.errors import AgonError, Rejection
from shared.protocol.manifest import Manifest
from shared.types import Digest
from validator.ledger.tables import DuelRow, ReignRow, SubmissionRow, TensorsRow
from validator.ledger.transitions import forgive, head_of, move

Key = tuple[str, int]
"""Hotkey and commit block: the name of a submission."""

MAX_ATTEMPTS = 5
"""Tries of a step that fails for no fault of the miner's before the submission is parked."""

REPLACEABLE = ("admitted", "dueling", "parked")
"""States in which a copy that was fetched before its original can still be rejected."""


def in_slots(session: Session, round_number: int, *states: str) -> list[SubmissionRow]:
    """Submissions that hold a slot of the round and are in one of `states`, in priority order."""
    return list(
        session.scalars(
            select(SubmissionRow)
            .where(SubmissionRow.round == round_number, SubmissionRow.state.in_(states))
            .order_by(SubmissionRow.rank)
        )
    )


def of_model(session: Session, model: str) -> SubmissionRow:
    """The first submission that was admitted with this manifest digest."""
    query = select(SubmissionRow).where(SubmissionRow.model == model)
    return session.scalars(query.order_by(SubmissionRow.commit_block).limit(1)).one()


def models_needed(session: Session) -> set[str]:
    """Manifest digests that duels under way or any reign of ours may ask for again."""
    under_way = select(SubmissionRow.model).where(
        SubmissionRow.model.is_not(None), SubmissionRow.state.in_(("admitted", "dueling", "parked"))
    )
    return {model for model in session.scalars(under_way) if model} | set(
        session.scalars(select(ReignRow.model))
    )


def due_fetches(session: Session) -> list[SubmissionRow]:
    """Slotted submissions whose next try is due, in priority order."""
    return list(
        session.scalars(
            select(SubmissionRow)
            .where(SubmissionRow.state == "slotted", SubmissionRow.next_try_block <= head_of(session))
            .order_by(SubmissionRow.round, SubmissionRow.rank)
        )
    )


def admit(session: Session, key: Key, manifest: Manifest, tensor_root: Digest) -> None:
    """Admit a verified checkpoint. An exact duplicate of another hotkey's tensors is rejected, naming it.

    The earlier commit is the original, whichever was fetched first.
    """
    submission = session.get_one(SubmissionRow, key)
    first = session.get(TensorsRow, tensor_root)
    if first is not None and first.hotkey != submission.hotkey:
        other = session.get_one(SubmissionRow, (first.hotkey, first.commit_block))
        if _age(other) < _age(submission):
            reject(session, key, _duplicate_of(other))
            return
        if other.state in REPLACEABLE:
            reject(session, (other.hotkey, other.commit_block), _duplicate_of(submission))
        first.hotkey, first.commit_block = submission.hotkey, submission.commit_block
    if first is None:
        session.add(
            TensorsRow(
                root=tensor_root,
                hotkey=submission.hotkey,
                commit_block=submission.commit_block,
                created_block=head_of(session),
            )
        )
    submission.model = manifest.digest
    submission.manifest = manifest.model_dump(mode="json")
    forgive(submission)
    move(session, submission, "admitted", model=manifest.digest)


def _age(submission: SubmissionRow) -> tuple[int, int, int]:
    """Order of commits: by block, then by the priority that the chain's seeds gave them."""
    return submission.commit_block, submission.round or 0, submission.rank or 0


def _duplicate_of(original: SubmissionRow) -> Rejection:
    owner = f"{original.hotkey} at block {original.commit_block}"
    return Rejection("duplicate", f"these exact tensors were committed by {owner}")


def reject(session: Session, key: Key, rejection: Rejection) -> None:
    """Refuse a submission for good, with the reason that the miner is told; ends its duel, if any."""
    submission = session.get_one(SubmissionRow, key)
    _explain(submission, rejection)
    _end_duels(session, submission)
    move(session, submission, "rejected", code=rejection.code)


def withhold(session: Session, key: Key, rejection: Rejection) -> None:
    """End a submission whose files were not there when the fetch window closed."""
    submission = session.get_one(SubmissionRow, key)
    _explain(submission, rejection)
    move(session, submission, "withheld", code=rejection.code)


def set_back(session: Session, key: Key, error: AgonError) -> None:
    """Note a fault that is not the miner's: try again later, waiting longer each time, then park."""
    submission = session.get_one(SubmissionRow, key)
    submission.attempts += 1
    submission.next_try_block = head_of(session) + 2**submission.attempts
    _explain(submission, error)
    if submission.attempts >= MAX_ATTEMPTS:
        submission.attempts = 0
        move(session, submission, "parked", code=error.code)


def wait_for_files(session: Session, key: Key, reason: Rejection) -> None:
    """Look for the files again at the next block: the fetch window is still open."""
    submission = session.get_one(SubmissionRow, key)
    submission.next_try_block = head_of(session) + 1
    _explain(submission, reason)


def resume_parked(session: Session) -> bool:
    """Put one parked submission, whose wait is over, back to where it was set aside; False if none is."""
    due = select(SubmissionRow).where(
        SubmissionRow.state == "parked", SubmissionRow.next_try_block <= head_of(session)
    )
    submission = session.scalars(due.order_by(SubmissionRow.round, SubmissionRow.rank).limit(1)).first()
    if submission is None:
        return False
    dueling = session.scalar(
        select(DuelRow.id).where(
            DuelRow.hotkey == submission.hotkey, DuelRow.commit_block == submission.commit_block
        )
    )
    state = "dueling" if dueling else "slotted" if submission.model is None else "admitted"
    if state == "slotted":
        submission.fetch_from = head_of(session)  # we could not look while the window was open
    move(session, submission, state)
    return True


def _explain(submission: SubmissionRow, error: AgonError) -> None:
    submission.code, submission.message, submission.fault = error.code, error.message, str(error.fault)


def _end_duels(session: Session, submission: SubmissionRow) -> None:
    duels = select(DuelRow).where(
        DuelRow.hotkey == submission.hotkey,
        DuelRow.commit_block == submission.commit_block,
        DuelRow.state.in_(("open", "carried")),
    )
    for duel in session.scalars(duels):
        duel.state = "ended"
