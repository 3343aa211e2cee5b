"""The validator's loop: the chain wakes it, the ledger drives it.

Headers may repeat or be skipped; each stage asks the ledger what is due and does it in transactions, so
the loop can die anywhere and be started again. A background failure ends the process on purpose.
"""

from __future__ import annotations

import structlog

from shared.chain.records import Head
from shared.errors import TransientError
from validator.house import House
from validator.intake import intake
from validator.ledger import rounds
from validator.pruning import prune
from validator.scoring import score_next, work_off
from validator.settling import settle
from validator.weighing import weigh

log = structlog.get_logger()


async def run(house: House) -> None:
    """Follow the chain until cancelled."""
    async for head in house.chain.finalised():
        try:
            await advance(house, head)
        except TransientError as error:  # the chain did not answer; what is due stays due
            log.warning("head not worked off", block=head.number, code=error.code, error=error.message)


async def advance(house: House, head: Head) -> None:
    """What one header sets off."""
    await intake(house, head)  # one pinned read per closed round -> submissions
    await settle(house)  # evidence -> verdicts, records, statement; strictly in order
    await prune(house)  # checkpoints that nothing needs leave the disk
    await score_next(house)  # start or collect; returns within a block time
    await weigh(house, head)  # records -> weights, through the outbox


async def run_once(house: House) -> None:
    """Do everything that is due at the present head, to the end, and stop."""
    head = await house.chain.finalised_head()
    await intake(house, head)
    before, now = None, await _progress(house)
    while now != before:
        await work_off(house)
        await settle(house)
        before, now = now, await _progress(house)
    await prune(house)
    await weigh(house, head)


async def _progress(house: House) -> tuple[int, str] | None:
    row = await house.ledger.do(rounds.oldest_open_round, house.rules.digest)
    return None if row is None else (row.number, row.state)
