"""Answers: each function reads what one route needs in one session and hands it to the views.

The routes and `agon-validator explain` call them. They only select; where the ledger holds nothing yet
they raise `no_data`, and `not_found` for a name that it does not know.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import Session

from shared.errors import AgonError
from shared.protocol.api import (
    CompetitionView,
    DuelView,
    Leaderboard,
    RoundView,
    SubmissionPage,
    SubmissionView,
    WeightsView,
)
from shared.protocol.competition import Competition
from shared.protocol.feed import EventPage
from shared.protocol.health import Health
from shared.protocol.statement import Signed, StatementBody
from shared.types import Hotkey
from validator.api import duels, rows, views
from validator.api.duels import DuelFacts, SliceSum
from validator.api.health import HealthFacts, judge_health
from validator.ledger.tables import (
    DuelPromptRow,
    DuelRow,
    EventRow,
    MetaRow,
    RecordRow,
    RoundRow,
    SubmissionRow,
)
from validator.ledger.transitions import head_of

MOST_PER_KEY = 50
"""Most submissions that one identifier is answered with."""


def check_health(session: Session, now_s: int, block_time_s: float) -> Health:
    """Whether the validator does its work, at Unix time `now_s`."""
    unsettled = select(RoundRow).where(RoundRow.state != "settled").order_by(RoundRow.close_block).limit(1)
    verdicts = select(func.max(EventRow.created_block)).where(EventRow.kind.startswith("verdict."))
    about_weights = (
        select(EventRow).where(EventRow.kind.startswith("weights.")).order_by(EventRow.id.desc()).limit(1)
    )
    parked = select(SubmissionRow).where(SubmissionRow.state == "parked").order_by(SubmissionRow.commit_block)
    facts = HealthFacts(
        meta=session.get_one(MetaRow, 1),
        rules=rows.newest_rules(session),
        newest_round=rows.newest_round(session),
        oldest_unsettled=session.scalars(unsettled).first(),
        newest_event=session.scalars(select(EventRow).order_by(EventRow.id.desc()).limit(1)).first(),
        last_verdict_block=session.scalar(verdicts),
        weights=rows.newest_weights(session),
        weights_event=session.scalars(about_weights).first(),
        parked=session.scalars(parked).all(),
    )
    return judge_health(facts, now_s, block_time_s)


def show_leaderboard(session: Session) -> Leaderboard:
    """Who is paid. Raises AgonError `no_data` before there is a champion."""
    rules = rows.current_rules(session)
    champion = rows.champion_of(session, rules)
    if champion is None:
        raise AgonError("no_data", "there is no champion yet")
    newest = rows.newest_round(session)
    won = session.execute(select(RecordRow, DuelRow).join(DuelRow, RecordRow.duel == DuelRow.id))
    records = [(Hotkey(record.hotkey), duels.view_record(record, duel)) for record, duel in won.tuples()]
    return views.view_leaderboard(
        rules.digest, champion, newest.number if newest else None, records, rows.newest_weights(session)
    )


def show_competition(session: Session) -> CompetitionView:
    """The rules in force. Raises AgonError `no_data` before there are any."""
    rules = rows.current_rules(session)
    return views.view_competition(rules, head_of(session), rows.champion_of(session, rules))


def show_weights(session: Session) -> WeightsView:
    """The newest weight vector. Raises AgonError `no_data` before there is one."""
    row = rows.newest_weights(session)
    if row is None:
        raise AgonError("no_data", "no weights have been planned yet")
    return views.view_weights(row)


def list_submissions(session: Session, limit: int, cursor: str | None) -> SubmissionPage:
    """A page of submissions, newest commit first. `cursor` is `<commit block>:<hotkey>` of the last seen."""
    place = tuple_(SubmissionRow.commit_block, SubmissionRow.hotkey)
    query = select(SubmissionRow).order_by(SubmissionRow.commit_block.desc(), SubmissionRow.hotkey.desc())
    if cursor is not None:
        block, _, hotkey = cursor.partition(":")
        query = query.where(place < tuple_(int(block), hotkey))
    found = session.scalars(query.limit(limit + 1)).all()
    if not found and cursor is None:
        raise AgonError("no_data", "no submission has been seen yet")
    shown = found[:limit]
    more = len(found) > limit
    return SubmissionPage(
        items=_view_all(session, shown),
        next_cursor=f"{shown[-1].commit_block}:{shown[-1].hotkey}" if more else None,
    )


def find_submissions(session: Session, key: str) -> SubmissionPage:
    """Submissions by committed digest, model digest or hotkey, newest first; `not_found` when none."""
    named = or_(SubmissionRow.digest == key, SubmissionRow.model == key, SubmissionRow.hotkey == key)
    order = (SubmissionRow.commit_block.desc(), SubmissionRow.hotkey.desc())
    found = session.scalars(select(SubmissionRow).where(named).order_by(*order).limit(MOST_PER_KEY)).all()
    if not found:
        raise AgonError("not_found", f"no submission has the digest, model or hotkey {key}")
    return SubmissionPage(items=_view_all(session, found), next_cursor=None)


def show_duel(session: Session, duel: str) -> DuelView:
    """One duel as far as it may be told. Raises AgonError `not_found`."""
    row = session.get(DuelRow, duel)
    if row is None:
        raise AgonError("not_found", f"there is no duel {duel}")
    facts = _facts(session, row)
    differences = (
        select(DuelPromptRow.d)
        .where(DuelPromptRow.duel == duel, DuelPromptRow.round.not_in(facts.sealed))
        .order_by(DuelPromptRow.position)
    )
    return duels.view_duel(facts, session.scalars(differences).all(), _rows_root(session, facts))


def show_round(session: Session, number: int, competition: str | None) -> RoundView:
    """A closed round of the current or the named competition. Raises AgonError `not_found`."""
    rules = rows.rules_of(session, competition) if competition else rows.current_rules(session)
    row = rows.round_of(session, rules, number)
    opens_at = rows.seals(session, rules, {number}).get(number)
    given = select(SubmissionRow).where(
        SubmissionRow.competition == rules.digest, SubmissionRow.round == number
    )
    holders = session.scalars(given.order_by(SubmissionRow.rank)).all()
    fought = select(DuelRow).where(DuelRow.hotkey.in_([item.hotkey for item in holders]))
    # its first duel is the one of this round: later ones are against later champions
    ordered = session.scalars(fought.order_by(DuelRow.round.desc()))
    names = {(duel.hotkey, duel.commit_block): duel.id for duel in ordered}
    statement = rows.own_statement(session, rules.digest, number) if opens_at is None else None
    return views.view_round(row, holders, names, statement, opens_at)


def show_statement(session: Session, number: int, competition: str | None) -> Signed:
    """Our signed statement of a round, exactly as stored. `not_found` while it is sealed or missing."""
    rules = rows.rules_of(session, competition) if competition else rows.current_rules(session)
    rows.round_of(session, rules, number)
    opens_at = rows.seals(session, rules, {number}).get(number)
    if opens_at is not None:
        raise AgonError(
            "not_found",
            f"the statement of round {number} is not served yet",
            help=f"ask again once block {opens_at} is final, or the round is settled",
        )
    row = rows.own_statement(session, rules.digest, number)
    if row is None:
        raise AgonError("not_found", f"no statement of round {number} has been signed")
    return Signed(body=row.body, author=Hotkey(row.author), signature=row.signature)


def list_events(session: Session, after: int, limit: int) -> EventPage:
    """The feed after an id, oldest first; an empty page when there is no news."""
    found = session.scalars(
        select(EventRow).where(EventRow.id > after).order_by(EventRow.id).limit(limit)
    ).all()
    named = {str(row.body["duel"]) for row in found if row.kind.startswith("verdict.") and "duel" in row.body}
    sealed = {}
    for duel in session.scalars(select(DuelRow).where(DuelRow.id.in_(named))):
        if seal := _facts(session, duel).sealed:
            sealed[duel.id] = max(seal.values())
    items = tuple(views.view_event(row, sealed) for row in found)
    return EventPage(items=items, last_id=items[-1].id if items else after)


def _view_all(session: Session, found: Sequence[SubmissionRow]) -> tuple[SubmissionView, ...]:
    queue = sorted(
        session.scalars(select(SubmissionRow.commit_block).where(SubmissionRow.state == "waiting"))
    )
    known: dict[str, Competition] = {}
    shown = []
    for row in found:
        if row.competition not in known:
            known[row.competition] = rows.rules_of(session, row.competition)
        shown.append(_view_one(session, row, known[row.competition], queue))
    return tuple(shown)


def _view_one(
    session: Session, row: SubmissionRow, rules: Competition, queue: Sequence[int]
) -> SubmissionView:
    fought = (
        select(DuelRow)
        .where(DuelRow.hotkey == row.hotkey, DuelRow.commit_block == row.commit_block)
        .order_by(DuelRow.round)
    )
    every = [_facts(session, duel, rules) for duel in session.scalars(fought)]
    crowned = next((facts for facts in every if facts.record is not None and not facts.sealed), None)
    return views.view_submission(
        row,
        rules,
        queue_position=bisect.bisect_left(queue, row.commit_block) + 1 if row.state == "waiting" else None,
        duels=[duels.summarise_duel(facts) for facts in every],
        record=duels.view_record(crowned.record, crowned.row) if crowned and crowned.record else None,
    )


def _facts(session: Session, duel: DuelRow, rules: Competition | None = None) -> DuelFacts:
    if rules is None:
        submission = session.get_one(SubmissionRow, (duel.hotkey, duel.commit_block))
        rules = rows.rules_of(session, submission.competition)
    sums = session.execute(
        select(
            DuelPromptRow.round,
            DuelPromptRow.slice,
            func.count(),
            func.sum(DuelPromptRow.d),
            func.sum(DuelPromptRow.kl),
            func.sum(DuelPromptRow.extra_tokens),
        )
        .where(DuelPromptRow.duel == duel.id)
        .group_by(DuelPromptRow.round, DuelPromptRow.slice)
        .order_by(DuelPromptRow.round, DuelPromptRow.slice)
    )
    parts = [SliceSum(*numbers) for numbers in sums.tuples()]
    numbers = {part.round for part in parts} | {duel.round}
    record = session.get(RecordRow, duel.id)
    return DuelFacts(duel, rules, parts, rows.seals(session, rules, numbers), record)


def _rows_root(session: Session, facts: DuelFacts) -> str | None:
    """Root over the duel's rows in our newest open statement that tells of it."""
    for number in sorted({part.round for part in facts.open_sums}, reverse=True):
        row = rows.own_statement(session, facts.rules.digest, number)
        slots = StatementBody.model_validate(row.body).slots if row else ()
        root = next((slot.rows_root for slot in slots if slot.duel == facts.row.id), None)
        if root is not None:
            return root
    return None
