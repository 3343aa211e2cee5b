"""Rows: the ledger rows that several answers need, and the rule that says which are open.

`answers.py` calls these inside its session. They only select.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.errors import AgonError
from shared.protocol.api import Champion
from shared.protocol.competition import Competition
from shared.types import RoundNumber
from validator.api import views
from validator.ledger.tables import CompetitionRow, MetaRow, ReignRow, RoundRow, StatementRow, WeightSetRow
from validator.ledger.transitions import head_of


def current_rules(session: Session) -> Competition:
    """The rules in force. Raises AgonError `no_data` before there are any."""
    rules = newest_rules(session)
    if rules is None:
        raise AgonError("no_data", "no competition is in force yet")
    return rules


def seals(session: Session, rules: Competition, numbers: set[int]) -> dict[int, int]:
    """Those of the rounds `numbers` whose evidence is not open, with the block that opens each.

    A round opens when it is settled here, or at the close of the next round: by then every validator has
    committed its own statement, and copying ours is of no use.
    """
    query = select(RoundRow.number).where(
        RoundRow.competition == rules.digest, RoundRow.number.in_(numbers), RoundRow.state == "settled"
    )
    settled, head = set(session.scalars(query)), head_of(session)
    opens = {number: rules.schedule.close(RoundNumber(number + 1)) for number in numbers - settled}
    return {number: block for number, block in opens.items() if head < block}


def newest_rules(session: Session) -> Competition | None:
    """The rules that came into force last."""
    row = session.scalars(
        select(CompetitionRow).order_by(CompetitionRow.created_block.desc(), CompetitionRow.digest).limit(1)
    ).first()
    return None if row is None else Competition.model_validate(row.rules)


def rules_of(session: Session, digest: str) -> Competition:
    """The rules with this digest. Raises AgonError `not_found`."""
    row = session.get(CompetitionRow, digest)
    if row is None:
        raise AgonError("not_found", f"there is no competition {digest} here")
    return Competition.model_validate(row.rules)


def newest_round(session: Session) -> RoundRow | None:
    """The round that closed last."""
    return session.scalars(select(RoundRow).order_by(RoundRow.close_block.desc()).limit(1)).first()


def newest_weights(session: Session) -> WeightSetRow | None:
    """The newest row of the weights outbox."""
    return session.scalars(select(WeightSetRow).order_by(WeightSetRow.id.desc()).limit(1)).first()


def round_of(session: Session, rules: Competition, number: int) -> RoundRow:
    """A closed round. Raises AgonError `not_found`."""
    row = session.get(RoundRow, (rules.digest, number))
    if row is None:
        raise AgonError("not_found", f"round {number} has not closed, or was not read")
    return row


def champion_of(session: Session, rules: Competition) -> Champion | None:
    """The reigning champion; none before the first reign."""
    open_reign = select(ReignRow).where(ReignRow.competition == rules.digest, ReignRow.to_round.is_(None))
    reign = session.scalars(open_reign).first()
    newest = newest_round(session)
    return None if reign is None else views.view_champion(reign, newest.number if newest else None)


def own_statement(session: Session, competition: str, number: int) -> StatementRow | None:
    """The statement of a round that this validator signed, open or not."""
    author = session.get_one(MetaRow, 1).hotkey
    return session.get(StatementRow, (author, competition, number))
