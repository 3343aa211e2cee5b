"""Transitions of duels: opened together for a round, fed one look at a time, closed by a verdict.

Rows of a duel are a gapless prefix of its draws, inserted with the evidence in one transaction; the
whole state of the test is these rows, so a kill at any point costs at most one look.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.errors import AgonError
from shared.judging.proxy_gap import Gap
from shared.protocol.competition import Competition
from shared.protocol.verdict import Verdict
from shared.stats.eprocess import alpha_share
from shared.types import RoundNumber
from validator.ledger.tables import DuelRow, ReignRow, RoundRow, SubmissionRow
from validator.ledger.transitions import head_of, move, tell

SHOWN_DIGITS = 2
"""Of a proxy gap. Finer, and a row more or less would show its scores."""


def open_duels(session: Session, rules: Competition, number: RoundNumber) -> None:
    """Start the round's duels against the reigning champion, each with its share of alpha.

    Carried duels against the same champion go on with the alpha they hold; those against a fallen one
    restart and count among this round's.
    """
    row = session.get_one(RoundRow, (rules.digest, number))
    if row.state != "slotted":
        return
    reign = open_reign(session, rules.digest)
    _end_duels_against_others(session, reign.model)
    challengers = _challengers(session, reign.model)
    carried = session.scalars(select(DuelRow).where(DuelRow.state == "carried")).all()
    slots = (row.slots or 0) + sum(1 for item in challengers if item.round != number)
    if slots:
        row.trial = _trials(session, rules.digest, reign.from_round) + 1
        row.alpha = alpha_share(rules.duel.alpha, row.trial, slots, rules.duel.horizon_rounds)
        for submission in challengers:
            _open(session, submission, reign.model, number, row.alpha)
    for duel in carried:
        duel.state, duel.round = "open", number
    # slots count even when every one was rejected: a parked one may yet take prompts, on any validator
    row.drawn = slots > 0 or bool(carried)
    row.champion, row.state = reign.model, "dueling"


def join_duels(session: Session, competition: str, number: RoundNumber) -> bool:
    """Open the duels of slots that were parked when the round's duels began; False if there are none.

    They were counted in the round's alpha, and take its prompts from the start.
    """
    row = session.get_one(RoundRow, (competition, number))
    late = [item for item in _challengers(session, row.champion or "") if item.round == number]
    for submission in late:
        _open(session, submission, row.champion or "", number, row.alpha or 0.0)
    return bool(late)


def open_reign(session: Session, competition: str) -> ReignRow:
    """The reign that has not ended."""
    return session.scalars(
        select(ReignRow).where(ReignRow.competition == competition, ReignRow.to_round.is_(None))
    ).one()


def _trials(session: Session, competition: str, from_round: int) -> int:
    query = select(func.count()).where(
        RoundRow.competition == competition, RoundRow.number >= from_round, RoundRow.trial.is_not(None)
    )
    return session.scalar(query) or 0


def _end_duels_against_others(session: Session, champion: str) -> None:
    stale = select(DuelRow).where(DuelRow.state.in_(("open", "carried")), DuelRow.champion != champion)
    for duel in session.scalars(stale):
        duel.state = "ended"


def _challengers(session: Session, champion: str) -> list[SubmissionRow]:
    """Submissions that are owed a duel against `champion` and have none yet, in priority order."""
    candidates = session.scalars(
        select(SubmissionRow)
        .where(SubmissionRow.state.in_(("admitted", "dueling")))
        .order_by(SubmissionRow.round, SubmissionRow.rank)
    )
    return [item for item in candidates if not _has_duel(session, item, champion)]


def _has_duel(session: Session, submission: SubmissionRow, champion: str) -> bool:
    query = select(DuelRow.id).where(
        DuelRow.hotkey == submission.hotkey,
        DuelRow.commit_block == submission.commit_block,
        DuelRow.champion == champion,
    )
    return session.scalar(query) is not None


def _open(
    session: Session, submission: SubmissionRow, champion: str, number: RoundNumber, alpha: float
) -> None:
    name = f"{submission.hotkey}|{submission.commit_block}|{champion}"
    duel = DuelRow(
        id=hashlib.sha256(name.encode()).hexdigest()[:40],
        hotkey=submission.hotkey,
        commit_block=submission.commit_block,
        challenger=submission.model or "",
        champion=champion,
        round=number,
        alpha=alpha,
        state="open",
        created_block=head_of(session),
    )
    session.add(duel)
    if submission.state != "dueling":
        move(session, submission, "dueling", duel=duel.id)


def duels_in_play(session: Session, *states: str) -> list[DuelRow]:
    """Duels in one of `states`, in the priority order of their submissions, faults waited out."""
    query = (
        select(DuelRow)
        .join(
            SubmissionRow,
            (SubmissionRow.hotkey == DuelRow.hotkey) & (SubmissionRow.commit_block == DuelRow.commit_block),
        )
        .where(
            DuelRow.state.in_(states),
            SubmissionRow.state == "dueling",
            SubmissionRow.next_try_block <= head_of(session),
        )
        .order_by(SubmissionRow.round, SubmissionRow.rank)
    )
    return list(session.scalars(query))


def newest_duel(session: Session, submission: SubmissionRow) -> DuelRow | None:
    """The duel that a submission is in, or was in last."""
    query = select(DuelRow).where(
        DuelRow.hotkey == submission.hotkey, DuelRow.commit_block == submission.commit_block
    )
    return session.scalars(query.order_by(DuelRow.round.desc()).limit(1)).first()


def carry(session: Session, duel_id: str) -> None:
    """Leave an open duel to the next round: it has used up this one's prompts."""
    duel = session.get_one(DuelRow, duel_id)
    duel.state = "carried"
    tell(session, "duel.carried", duel=duel_id, hotkey=duel.hotkey)


def close_duel(session: Session, duel_id: str, verdict: Verdict, gap: Gap | None = None) -> None:
    """Close a duel with its verdict and proxy gap; its submission ends when the round is settled."""
    duel = session.get_one(DuelRow, duel_id)
    if duel.state != "open":
        raise AgonError("ledger_conflict", f"duel {duel_id} is {duel.state}, not open")
    duel.state, duel.verdict = "closed", verdict.model_dump(mode="json")
    duel.log_wealth = verdict.log_wealth
    tell(
        session,
        f"verdict.{verdict.outcome}",
        duel=duel_id,
        hotkey=duel.hotkey,
        reason=verdict.reason,
        prompts=verdict.prompts,
        gain=verdict.gain,
    )
    if gap is not None:
        _note_gap(session, duel, gap)


def _note_gap(session: Session, duel: DuelRow, gap: Gap) -> None:
    tell(
        session,
        "verdict.gap",
        duel=duel.id,
        hotkey=duel.hotkey,
        proxy_rise=round(gap.proxy, SHOWN_DIGITS),
        held_out_rise=round(gap.held_out, SHOWN_DIGITS),
        gap=round(gap.gap, SHOWN_DIGITS),
        gap_lower=round(gap.lower, SHOWN_DIGITS),
        alarm=gap.alarm,
    )
