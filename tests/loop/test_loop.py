"""The loop end to end on real parts: commitments in, a crown, a record, a statement and weights out."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.chain.connect import connect
from shared.checkpoints.download import list_cached
from shared.protocol.statement import Signed
from shared.signing import verify
from validator.ledger.tables import DuelRow, EventRow, RecordRow, ReignRow, StatementRow, WeightSetRow
from validator.loop import run_once

# the TINY demo crowns and pays in every run of the suite; this takes the same way step by step
pytestmark = [pytest.mark.slow, pytest.mark.torch]


def test_a_better_policy_is_crowned_and_paid_and_a_worse_one_is_not(
    arena: Any, better: Path, worse: Path, tiny_judge: Path
) -> None:
    shutil.copytree(tiny_judge, arena.bundle.public / "proxy")
    asyncio.run(_play(arena, better, worse))


async def _play(arena: Any, better: Path, worse: Path) -> None:
    await arena.submit("first", better)
    await arena.submit("second", worse)
    first, second = arena.hotkey("first"), arena.hotkey("second")
    arena.close_round(0)
    async with arena.context() as context:
        arena.advance(2)
        await run_once(context)
        verdicts = {row.hotkey: row.verdict for row in await arena.all_of(context, DuelRow)}
        assert verdicts[first]["outcome"] == "won", verdicts[first]
        assert verdicts[second]["outcome"] in {"lost", "unproven"}
        (record,) = await arena.all_of(context, RecordRow)
        assert (record.hotkey, record.gain, record.round) == (first, verdicts[first]["gain"], 0)
        reigns = await arena.all_of(context, ReignRow)
        assert [(row.hotkey, row.from_round, row.to_round) for row in reigns] == [
            (None, 0, 0),
            (first, 1, None),
        ]
        assert list_cached(context.cache) == [record.model]  # the loser's files have left the disk
        gaps = [row.body for row in await arena.all_of(context, EventRow) if row.kind == "verdict.gap"]
        assert {gap["hotkey"] for gap in gaps} == {first, second}
        (statement,) = await arena.all_of(context, StatementRow)
        verify(Signed(body=statement.body, author=statement.author, signature=statement.signature))
        arena.advance(1)
        await run_once(context)
        (weights,) = await arena.all_of(context, WeightSetRow)
        share = min(1.0, record.gain / arena.rules.payout.full_gain)
        assert weights.state == "confirmed"
        assert weights.vector == pytest.approx({first: share, arena.hotkey("owner"): 1 - share})
    arena.advance(25)
    async with connect(arena.settings) as chain:
        incentive = {n.hotkey: n.incentive for n in await chain.neurons(arena.netuid)}
    assert incentive[first] == pytest.approx(share, abs=1e-3)
    assert incentive[second] == 0
