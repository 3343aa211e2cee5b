"""Rows of duels and the scored completions behind them: written once, read back as evidence.

Rows of a duel are a gapless prefix of its draws. They are stored as the numbers that decide, and rebuilt from
the completions where the whole row is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.duels.rows import CompletionKey, statistic
from shared.errors import AgonError
from shared.protocol.evidence import EvidenceRow, ScoredCompletion
from shared.protocol.merkle import leaf_hash
from shared.protocol.wire import canonical_json
from shared.types import Digest
from validator.ledger.tables import CompletionRow, DuelPromptRow, DuelRow, SubmissionRow
from validator.ledger.transitions import forgive, head_of


@dataclass(frozen=True)
class NewRow:
    """A row and the one figure that the evidence does not hold: d under the freshest judge."""

    row: EvidenceRow
    d_fresh: float | None


def rows_of(session: Session, duel: str) -> list[DuelPromptRow]:
    """All rows of a duel in their order."""
    return list(
        session.scalars(
            select(DuelPromptRow).where(DuelPromptRow.duel == duel).order_by(DuelPromptRow.position)
        )
    )


def cached_completions(
    session: Session, keys: Sequence[CompletionKey]
) -> dict[CompletionKey, ScoredCompletion]:
    """Those of `keys` that were scored before."""
    found = {}
    for key in dict.fromkeys(keys):
        row = session.get(CompletionRow, key)
        if row is not None:
            found[key] = ScoredCompletion.model_validate(row.body)
    return found


def keep_completions(session: Session, scored: dict[CompletionKey, ScoredCompletion]) -> None:
    """Write scored completions once; a key that is there keeps its first value."""
    for key, completion in scored.items():
        if session.get(CompletionRow, key) is None:
            model, prompt, seed = key
            session.add(
                CompletionRow(
                    model=model,
                    prompt=prompt,
                    seed=seed,
                    body=completion.model_dump(mode="json"),
                    created_block=head_of(session),
                )
            )


def take_rows(session: Session, duel: str, rows: Sequence[NewRow], log_wealth: float) -> None:
    """Append one look's rows, and the evidence before them. `ledger_conflict` off the prefix."""
    record = session.get_one(DuelRow, duel)
    if record.state != "open":
        raise AgonError("ledger_conflict", f"duel {duel} is {record.state}, and takes no rows")
    record.log_wealth, number = log_wealth, record.round
    forgive(session.get_one(SubmissionRow, (record.hotkey, record.commit_block)))
    have = session.scalar(select(func.count()).where(DuelPromptRow.duel == duel)) or 0
    if [item.row.position for item in rows] != list(range(have, have + len(rows))):
        raise AgonError("ledger_conflict", f"rows of duel {duel} do not continue at position {have}")
    for item in rows:
        row = item.row
        session.add(
            DuelPromptRow(
                duel=duel,
                position=row.position,
                round=number,
                prompt=row.prompt,
                challenger_seeds=list(row.challenger_seeds),
                champion_seeds=list(row.champion_seeds),
                s_challenger=row.s_challenger,
                leaf=leaf_hash(canonical_json(row)),
                created_block=head_of(session),
                **asdict(statistic(row, item.d_fresh)),
            )
        )


def evidence_rows(session: Session, duel: DuelRow, rows: Sequence[DuelPromptRow]) -> list[EvidenceRow]:
    """The full form of some `rows` of a duel, rebuilt from their keys and the scored completions."""
    prompts = select(DuelPromptRow.prompt).where(
        DuelPromptRow.duel == duel.id,
        DuelPromptRow.position >= min((row.position for row in rows), default=0),
    )
    stored = select(CompletionRow).where(
        CompletionRow.model.in_((duel.challenger, duel.champion)), CompletionRow.prompt.in_(prompts)
    )
    samples = {(row.model, row.prompt, row.seed): row.body for row in session.scalars(stored)}
    return [_rebuild(duel, row, samples) for row in rows]


def _rebuild(
    duel: DuelRow, row: DuelPromptRow, samples: Mapping[tuple[str, str, int], dict[str, Any]]
) -> EvidenceRow:
    def side(model: str, seeds: Sequence[int]) -> tuple[ScoredCompletion, ...]:
        return tuple(ScoredCompletion.model_validate(samples[model, row.prompt, seed]) for seed in seeds)

    return EvidenceRow.model_validate(
        {
            "position": row.position,
            "prompt": row.prompt,
            "slice": row.slice,
            "challenger": side(duel.challenger, row.challenger_seeds),
            "champion": side(duel.champion, row.champion_seeds),
            "challenger_seeds": tuple(row.challenger_seeds),
            "champion_seeds": tuple(row.champion_seeds),
            "challenger_model": Digest(duel.challenger),
            "champion_model": Digest(duel.champion),
        }
    )
