"""Transitions of rounds: what a close fixed, who waits, and who gets a slot.

Intake writes a round once its close is final; the slots are given when the round before it is settled,
from stored facts alone, so every validator gives the same ones however late it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.chain.commitment import Commitment
from shared.errors import AgonError, Rejection
from shared.protocol.competition import Competition
from shared.protocol.wire import DigestField, digest_bytes
from shared.stats.queue import Candidate, finished_cooldown, free_after, slots, withheld_cooldown
from shared.types import BlockNumber, Digest, Hotkey, RoundNumber
from validator.ledger.tables import (
    CompetitionRow,
    DuelRow,
    MetaRow,
    RecordRow,
    ReignRow,
    RoundRow,
    SubmissionRow,
)
from validator.ledger.transitions import head_of, move, tell

FIRST = RoundNumber(0)


@dataclass(frozen=True)
class Close:
    """The chain's facts about the end of a round."""

    round: RoundNumber
    block: int
    hash: str
    next_hash: str
    """Hash of the block after the close."""
    seed: DigestField
    source: Literal["snapshot"] = "snapshot"
    """How it was read: pinned at the close."""


@dataclass(frozen=True)
class Live:
    """A commitment of a registered hotkey that is live at a close."""

    hotkey: Hotkey
    commit_block: int
    content: Commitment | Rejection


def see_head(session: Session, number: int, now_s: int) -> None:
    """Note the newest finalised block."""
    meta = session.get_one(MetaRow, 1)
    if number > meta.head:
        meta.head, meta.head_time = number, now_s


def enter_competition(session: Session, rules: Competition, base_model: str) -> None:
    """Put a competition in force: its rules, and the base model as first champion. Repeats are no-ops.

    Raises AgonError `chain_mismatch` when the ledger holds another competition: its rounds and the ages
    of its records count from another block.
    """
    digest = rules.digest
    if session.get(CompetitionRow, digest) is not None:
        return
    other = session.scalars(select(CompetitionRow.digest)).first()
    if other is not None:
        raise AgonError("chain_mismatch", f"the ledger belongs to competition {other}, not to {digest}")
    head = head_of(session)
    session.add(CompetitionRow(digest=digest, rules=rules.model_dump(mode="json"), created_block=head))
    session.add(
        ReignRow(seq=0, competition=digest, model=base_model, hotkey=None, from_round=0, created_block=head)
    )
    meta = session.get_one(MetaRow, 1)
    meta.next_round = 0 if meta.next_round is None else meta.next_round
    tell(session, "competition.entered", competition=digest)


def next_round(session: Session) -> RoundNumber:
    """First round that intake has not written."""
    return RoundNumber(session.get_one(MetaRow, 1).next_round or 0)


def write_round(session: Session, competition: str, close: Close, live: Sequence[Live]) -> None:
    """Write a closed round and the commitments live at its close. Repeats are no-ops."""
    if session.get(RoundRow, (competition, close.round)) is not None:
        return
    for item in live:
        _record(session, competition, close.round, item)
    _mark_gone(session, {(item.hotkey, item.commit_block) for item in live}, close.round)
    session.add(
        RoundRow(
            competition=competition,
            number=close.round,
            close_block=close.block,
            close_hash=close.hash,
            next_hash=close.next_hash,
            seed=close.seed,
            source=close.source,
            state="open",
            created_block=head_of(session),
        )
    )
    session.get_one(MetaRow, 1).next_round = close.round + 1
    tell(session, "round.closed", round=close.round, live=len(live))


def _record(session: Session, competition: str, number: RoundNumber, item: Live) -> None:
    if session.get(SubmissionRow, (item.hotkey, item.commit_block)) is not None:
        return
    row = SubmissionRow(
        hotkey=item.hotkey,
        commit_block=item.commit_block,
        competition=competition,
        seen_round=number,
        state="rejected" if isinstance(item.content, Rejection) else "waiting",
        created_block=head_of(session),
    )
    if isinstance(item.content, Rejection):
        row.settled_round = number
        row.code, row.message = item.content.code, item.content.message
        row.fault = str(item.content.fault)
    else:
        row.digest, row.locator = item.content.digest, str(item.content.locator)
    session.add(row)
    tell(session, f"submission.{row.state}", hotkey=item.hotkey, digest=row.digest)


def _mark_gone(session: Session, live: set[tuple[Hotkey, int]], number: RoundNumber) -> None:
    """Note what a close no longer holds. An earlier round, slotted later, may still give it a slot."""
    waiting = select(SubmissionRow).where(
        SubmissionRow.state == "waiting", SubmissionRow.gone_round.is_(None)
    )
    for row in session.scalars(waiting):
        if (row.hotkey, row.commit_block) not in live:
            row.gone_round = number


def _expire_gone(session: Session, number: RoundNumber) -> None:
    gone = select(SubmissionRow).where(SubmissionRow.state == "waiting", SubmissionRow.gone_round <= number)
    for row in session.scalars(gone):
        move(session, row, "expired", reason="replaced or deregistered before it got a slot")


def oldest_open_round(session: Session, competition: str) -> RoundRow | None:
    """The round that work is on: the oldest that is not settled."""
    return session.scalars(
        select(RoundRow)
        .where(RoundRow.competition == competition, RoundRow.state != "settled")
        .order_by(RoundRow.number)
        .limit(1)
    ).first()


def newest_round(session: Session, competition: str) -> RoundRow | None:
    """The last round that intake has written."""
    rows = select(RoundRow).where(RoundRow.competition == competition)
    return session.scalars(rows.order_by(RoundRow.number.desc()).limit(1)).first()


def give_slots(session: Session, rules: Competition, number: RoundNumber) -> None:
    """Give the round its slots from the waiting commitments of its close; everything else waits on."""
    row = session.get_one(RoundRow, (rules.digest, number))
    if row.state != "open":
        return
    _expire_gone(session, number)
    waiting = session.scalars(
        select(SubmissionRow).where(SubmissionRow.state == "waiting", SubmissionRow.seen_round <= number)
    ).all()
    busy, free = _busy(session), _free_rounds(session)
    candidates = [
        Candidate(Hotkey(item.hotkey), BlockNumber(item.commit_block), free.get(item.hotkey, FIRST))
        for item in waiting
        if item.hotkey not in busy
    ]
    chosen = slots(candidates, number, digest_bytes(Digest(row.seed)), rules.schedule.slots)
    for rank, place in enumerate(chosen):
        submission = session.get_one(SubmissionRow, (place.hotkey, place.commit_block))
        submission.round, submission.rank = number, rank
        # a window that passed while we were away, or still at an earlier round, is given again
        submission.fetch_from = max(row.close_block, head_of(session))
        move(session, submission, "slotted", round=number, rank=rank)
    row.slots, row.state = len(chosen), "slotted"


def _busy(session: Session) -> set[str]:
    """Hotkeys whose earlier submission is still under way: one at a time."""
    states = ("slotted", "admitted", "dueling", "parked")
    return set(session.scalars(select(SubmissionRow.hotkey).where(SubmissionRow.state.in_(states))))


def _free_rounds(session: Session) -> dict[str, RoundNumber]:
    """First round that each hotkey may compete in after its submissions that ended.

    Only those that held a slot count; a malformed commitment had none and used nothing up.
    """
    crowned = {
        (duel.hotkey, duel.commit_block)
        for duel in session.scalars(select(DuelRow).join(RecordRow, RecordRow.duel == DuelRow.id))
    }
    ended = session.scalars(
        select(SubmissionRow)
        .where(SubmissionRow.settled_round.is_not(None), SubmissionRow.round.is_not(None))
        .order_by(SubmissionRow.settled_round, SubmissionRow.commit_block)
    )
    history: dict[str, list[tuple[RoundNumber, str]]] = {}
    for row in ended:
        won = (row.hotkey, row.commit_block) in crowned
        end = "crowned" if won else "withheld" if row.state == "withheld" else "finished"
        history.setdefault(row.hotkey, []).append((RoundNumber(row.settled_round or 0), end))
    return {hotkey: _free_at(ends) for hotkey, ends in history.items()}


def _free_at(ends: list[tuple[RoundNumber, str]]) -> RoundNumber:
    """Cooldowns add up over a hotkey's endings, oldest first; a crown wipes them out."""
    finished = withheld = 0
    free = FIRST
    for number, end in ends:
        if end == "crowned":
            finished, withheld, free = 0, 0, FIRST
        elif end == "withheld":
            withheld += 1
            free = max(free, free_after(number, withheld_cooldown(withheld)))
        else:
            finished += 1
            free = max(free, free_after(number, finished_cooldown(finished)))
    return free


def round_row(session: Session, competition: str, number: RoundNumber) -> RoundRow:
    """One closed round."""
    return session.get_one(RoundRow, (competition, number))


def drawn_rounds(session: Session, competition: str, until: RoundNumber) -> list[tuple[RoundNumber, Digest]]:
    """Number and seed of every round up to and with `until` whose draw counts as used, in order."""
    query = (
        select(RoundRow.number, RoundRow.seed)
        .where(RoundRow.competition == competition, RoundRow.number <= until, RoundRow.drawn)
        .order_by(RoundRow.number)
    )
    return [(RoundNumber(number), Digest(seed)) for number, seed in session.execute(query)]
