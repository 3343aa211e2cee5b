"""Evidence: what the ledger holds of one ended duel, put together for anybody to replay.

The operator decides when to hand it out: rows show prompts and rewards, so not while the judges and
prompts that they are about still serve.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.errors import AgonError
from shared.protocol.evidence import Evidence
from shared.protocol.statement import Signed
from shared.types import RoundNumber
from validator.ledger import duel_rows
from validator.ledger.tables import DuelRow, StatementRow


def evidence_of(session: Session, duel_id: str) -> Evidence:
    """The rows of a duel with the statement that tells its verdict.

    Raises AgonError `not_found` for an unknown duel, `no_data` while no statement tells how it ended.
    """
    duel = session.get(DuelRow, duel_id)
    if duel is None:
        raise AgonError("not_found", f"there is no duel {duel_id}")
    rows = duel_rows.rows_of(session, duel_id)
    counts = Counter(row.round for row in rows)
    return Evidence(
        statement=_statement(session, duel),
        duel=duel_id,
        rounds={RoundNumber(number): counts[number] for number in sorted(counts)},
        rows=tuple(duel_rows.evidence_rows(session, duel, rows)),
    )


def _statement(session: Session, duel: DuelRow) -> Signed:
    later = select(StatementRow).where(StatementRow.round >= duel.round).order_by(StatementRow.round)
    for row in session.scalars(later):
        if any(slot["duel"] == duel.id and slot["verdict"] for slot in row.body["slots"]):
            return Signed.model_validate({"body": row.body, "author": row.author, "signature": row.signature})
    raise AgonError("no_data", f"no statement tells yet how duel {duel.id} ended")
