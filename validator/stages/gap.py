"""The proxy gap: how far a challenger pleases the public proxy judge beyond the held-out ones.

The duel stage asks for it when a duel ends; the gap goes into the feed beside the verdict and is sealed
like it. It decides nothing, and a proxy that fails holds nothing up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing

import structlog
from sqlalchemy.orm import Session

from shared.duels.scorer import JUDGED
from shared.errors import AgonError
from shared.judging.judge import Judges
from shared.judging.proxy_gap import Gap, measure_gap, rises
from shared.protocol.evidence import EvidenceRow, ScoredCompletion
from shared.sandbox.client import JudgeChild
from shared.types import JudgeName, PromptId, SliceName
from validator.context import ValidatorContext
from validator.ledger import duel_rows
from validator.ledger.tables import DuelRow

log = structlog.get_logger()

PROXY = JudgeName("proxy")
GAP_ROWS = 64
"""Judged rows that the gap is measured on, the newest of the duel."""
PROXY_TIMEOUT_S = 600.0


async def measure_duel_gap(context: ValidatorContext, duel: DuelRow) -> Gap | None:
    """The gap of a duel that is about to end; none without a proxy or without enough judged rows."""
    proxy = context.bundle.public / PROXY
    if not proxy.is_dir():
        return None
    judged = {part.name for part in context.rules.slices if part.kind == JUDGED}
    rows = await context.ledger.do(newest_rows, duel, judged)
    if len(rows) < 2:
        return None
    texts = {prompt.id: prompt.text for pool in context.bundle.pools.values() for prompt in pool}
    logs = context.settings.state / "logs"
    try:
        # opened for one duel: a second judge in memory all the time would cost more than its start
        proxy_child = JudgeChild({PROXY: proxy}, log=logs / "proxy.log", timeout_s=PROXY_TIMEOUT_S)
        with closing(proxy_child) as child:
            gap = await asyncio.to_thread(gap_over, rows, texts, child)
    except AgonError as error:
        log.warning("gap not measured", duel=duel.id, code=error.code, error=error.message)
        return None
    if gap.alarm:
        log.warning(
            "the proxy likes a challenger more than the held-out judges do", duel=duel.id, gap=gap.gap
        )
    return gap


def newest_rows(session: Session, duel: DuelRow, slices: Collection[SliceName]) -> list[EvidenceRow]:
    """The newest rows of these slices, at most `GAP_ROWS`."""
    rows = [row for row in duel_rows.rows_of(session, duel.id) if row.slice in slices]
    return duel_rows.evidence_rows(session, duel, rows[-GAP_ROWS:])


def gap_over(rows: Sequence[EvidenceRow], texts: Mapping[PromptId, str], judges: Judges) -> Gap:
    """The gap over judged rows, the proxy's rewards made anew. Raises AgonError as the judge does."""
    sides = [[row.challenger for row in rows], [row.champion for row in rows]]
    pairs = [
        (texts[row.prompt], sample.completion.text)
        for side in sides
        for row, samples in zip(rows, side, strict=True)
        for sample in samples
    ]
    rewards = iter(judges.reward(PROXY, pairs))
    ours, theirs = ([[next(rewards) for _ in samples] for samples in side] for side in sides)
    held_out = rises(*([[_ensemble(sample) for sample in samples] for samples in side] for side in sides))
    return measure_gap(rises(ours, theirs), held_out)


def _ensemble(sample: ScoredCompletion) -> float:
    if sample.u is None:
        raise ValueError("a sample of a verifier slice has no ensemble score")
    return sample.u
