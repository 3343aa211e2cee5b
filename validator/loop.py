"""The validator's loop: the chain wakes it, the ledger drives it.

Headers may repeat or be skipped; each stage asks the ledger what is due and does it in transactions, so
the loop can die anywhere and be started again. A background failure ends the process on purpose.
"""

from __future__ import annotations

import structlog

from shared.chain.records import Head
from shared.errors import TransientError
from validator.context import ValidatorContext
from validator.ledger import rounds
from validator.stages.duel import score_next, work_off
from validator.stages.intake import intake
from validator.stages.prune import prune
from validator.stages.settle import settle
from validator.stages.weights import weigh

log = structlog.get_logger()


async def run(context: ValidatorContext) -> None:
    """Follow the chain until cancelled."""
    async for head in context.chain.finalised():
        try:
            await advance(context, head)
        except TransientError as error:  # the chain did not answer; what is due stays due
            log.warning("head not worked off", block=head.number, code=error.code, error=error.message)


async def advance(context: ValidatorContext, head: Head) -> None:
    """What one header sets off."""
    await intake(context, head)  # one pinned read per closed round -> submissions
    await settle(context)  # evidence -> verdicts, records, statement; strictly in order
    await prune(context)  # checkpoints that nothing needs leave the disk
    await score_next(context)  # start or collect; returns within a block time
    await weigh(context, head)  # records -> weights, through the outbox


async def run_once(context: ValidatorContext) -> None:
    """Do everything that is due at the present head, to the end, and stop."""
    head = await context.chain.finalised_head()
    await intake(context, head)
    before, now = None, await _progress(context)
    while now != before:
        await work_off(context)
        await settle(context)
        before, now = now, await _progress(context)
    await prune(context)
    await weigh(context, head)


async def _progress(context: ValidatorContext) -> tuple[int, str] | None:
    row = await context.ledger.do(rounds.oldest_open_round, context.rules.digest)
    return None if row is None else (row.number, row.state)
