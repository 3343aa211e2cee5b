"""The transition that settles a round: verdicts become a crown, a record, a statement, rests.

One transaction writes all of it, strictly in round order. Money is made here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.protocol.competition import Competition
from shared.protocol.statement import Signed, SlotReport
from shared.protocol.verdict import Verdict
from shared.protocol.wire import digest_of
from shared.types import Hotkey, RoundNumber
from validator.ledger.duels import open_reign
from validator.ledger.tables import DuelRow, RecordRow, ReignRow, RoundRow, StatementRow, SubmissionRow
from validator.ledger.transitions import head_of, move, tell


@dataclass(frozen=True)
class Crown:
    """The duel that takes the championship of its round."""

    duel: str
    hotkey: Hotkey
    model: str
    gain: float


def unfinished(session: Session, number: RoundNumber) -> bool:
    """Whether a slot of the round, or a duel in play, still owes its outcome."""
    open_duels = (
        select(DuelRow.id)
        .join(
            SubmissionRow,
            (SubmissionRow.hotkey == DuelRow.hotkey) & (SubmissionRow.commit_block == DuelRow.commit_block),
        )
        .where(DuelRow.state == "open", SubmissionRow.state == "dueling")
    )
    waiting = select(SubmissionRow.hotkey).where(
        SubmissionRow.round == number, SubmissionRow.state.in_(("slotted", "admitted"))
    )
    return session.scalar(open_duels.limit(1)) is not None or session.scalar(waiting.limit(1)) is not None


def held_up(session: Session, number: RoundNumber, crown: Crown) -> bool:
    """Whether a submission of this round that comes before the crown's is parked.

    "Of this round" are its slots and the older ones whose duels take prompts from it; one that was
    parked in an earlier round has been waited for already.
    """
    winner = session.get_one(DuelRow, crown.duel)
    crowned = session.get_one(SubmissionRow, (winner.hotkey, winner.commit_block))
    query = (
        select(SubmissionRow, DuelRow.round)
        .outerjoin(
            DuelRow,
            (SubmissionRow.hotkey == DuelRow.hotkey)
            & (SubmissionRow.commit_block == DuelRow.commit_block)
            & (DuelRow.state == "open"),
        )
        .where(SubmissionRow.state == "parked")
    )
    return any(
        number in {submission.round, duel_round}
        and (submission.round, submission.rank) < (crowned.round, crowned.rank)
        for submission, duel_round in session.execute(query)
    )


def participants(session: Session, number: RoundNumber) -> list[SubmissionRow]:
    """Submissions that the round's statement tells of: its slots, and older ones that had not ended."""
    query = (
        select(SubmissionRow)
        .where(SubmissionRow.round <= number, SubmissionRow.settled_round.is_(None))
        .order_by(SubmissionRow.round, SubmissionRow.rank)
    )
    return list(session.scalars(query))


def settle_round(
    session: Session,
    rules: Competition,
    number: RoundNumber,
    *,
    reports: tuple[SlotReport, ...],
    crown: Crown | None,
    statement: Signed,
) -> None:
    """Write the outcome of a round in one go. A round that is settled stays as it is."""
    row = session.get_one(RoundRow, (rules.digest, number))
    if row.state == "settled":
        return
    if crown is not None:
        _crown(session, rules.digest, number, crown)
    for report in reports:
        _end_submission(session, number, report, crown)
    session.add(
        StatementRow(
            author=statement.author,
            competition=rules.digest,
            round=number,
            digest=digest_of(statement.body),
            body=statement.body,
            signature=statement.signature,
            created_block=head_of(session),
        )
    )
    row.state = "settled"
    tell(session, "round.settled", round=number, crowned=crown.hotkey if crown else None)


def _crown(session: Session, competition: str, number: RoundNumber, crown: Crown) -> None:
    reign = open_reign(session, competition)
    reign.to_round = number
    head = head_of(session)
    session.add(
        ReignRow(
            seq=reign.seq + 1,
            competition=competition,
            model=crown.model,
            hotkey=crown.hotkey,
            from_round=number + 1,
            created_block=head,
        )
    )
    session.add(
        RecordRow(
            duel=crown.duel,
            hotkey=crown.hotkey,
            model=crown.model,
            round=number,
            gain=crown.gain,
            created_block=head,
        )
    )
    tell(session, "crown", hotkey=crown.hotkey, duel=crown.duel, gain=crown.gain, round=number)


def _end_submission(session: Session, number: RoundNumber, report: SlotReport, crown: Crown | None) -> None:
    submission = session.get_one(SubmissionRow, (report.hotkey, report.commit_block))
    if report.outcome in {"rejected", "withheld"}:
        submission.settled_round = number
    elif report.verdict is not None:
        crowned = crown is not None and crown.duel == report.duel
        if crowned or report.verdict.outcome != "won":
            submission.settled_round = number
            move(session, submission, "settled", outcome=report.verdict.outcome)


def records_of(session: Session) -> list[RecordRow]:
    """All records in the order they were set."""
    return list(session.scalars(select(RecordRow).order_by(RecordRow.round)))


def newest_statement(session: Session, author: Hotkey) -> StatementRow | None:
    """The author's statement of the latest round."""
    return session.scalars(
        select(StatementRow).where(StatementRow.author == author).order_by(StatementRow.round.desc()).limit(1)
    ).first()


def verdict_of(duel: DuelRow) -> Verdict | None:
    """A duel's verdict, once it has one."""
    return None if duel.verdict is None else Verdict.model_validate(duel.verdict)
