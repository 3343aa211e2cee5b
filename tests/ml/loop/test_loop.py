"""The loop end to end on real parts: commitments in, a crown, a record, a statement and weights out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import select

from shared.chain.connect import connect
from shared.models.statement import Signed
from shared.signing import verify
from validator.ledger.tables import DuelRecord, Record, Reign, StatementRow, Submission, WeightSet
from validator.loop import run_once


def test_a_better_policy_is_crowned_and_paid_and_a_worse_one_is_not(
    arena: Any, better: Path, worse: Path
) -> None:
    asyncio.run(_play(arena, better, worse))


async def _play(arena: Any, better: Path, worse: Path) -> None:
    async with connect(arena.settings) as chain:
        rules = await _rules(arena)
        await arena.submit(chain, "first", better, rules)
        await arena.submit(chain, "second", worse, rules)
    await asyncio.to_thread(arena.advance, 60)
    async with arena.house() as house:
        await run_once(house)
        states = await house.ledger.do(_states)
        assert states == {arena.hotkey("first"): "settled", arena.hotkey("second"): "settled"}
        outcomes = await house.ledger.do(_outcomes)
        print(outcomes)
        assert outcomes[arena.hotkey("first")][0] == "won"
        assert outcomes[arena.hotkey("second")][0] in {"lost", "unproven"}
        records = await house.ledger.do(lambda s: list(s.scalars(select(Record))))
        assert [record.hotkey for record in records] == [arena.hotkey("first")]
        reigns = await house.ledger.do(lambda s: list(s.scalars(select(Reign).order_by(Reign.seq))))
        assert [reign.hotkey for reign in reigns] == [None, arena.hotkey("first")]
        statements = await house.ledger.do(lambda s: list(s.scalars(select(StatementRow))))
        for row in statements:
            verify(Signed(body=row.body, author=row.author, signature=row.signature))
        await asyncio.to_thread(arena.advance, 1)
        await run_once(house)
        sets = await house.ledger.do(lambda s: list(s.scalars(select(WeightSet))))
        assert [row.state for row in sets][:1] == ["confirmed"]
    await asyncio.to_thread(arena.advance, 25)
    async with connect(arena.settings) as chain:
        incentive = {n.hotkey: n.incentive for n in await chain.neurons(arena.netuid)}
        print(incentive)
        assert incentive[arena.hotkey("first")] > 0.1
        assert incentive[arena.hotkey("second")] == 0


async def _rules(arena: Any) -> str:
    from shared.competition import load_competition

    return load_competition(arena.bundle / "competition.json").digest


def _states(session: Any) -> dict[str, str]:
    return {row.hotkey: row.state for row in session.scalars(select(Submission))}


def _outcomes(session: Any) -> dict[str, tuple[str, str, int, float]]:
    return {
        row.hotkey: (
            row.verdict["outcome"],
            row.verdict["reason"],
            row.verdict["prompts"],
            row.verdict["mean"],
        )
        for row in session.scalars(select(DuelRecord))
        if row.verdict
    }
