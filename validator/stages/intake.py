"""Intake: what the finalised chain says about each closed round, written once.

Everything that decides who competes is read pinned at the round's close, so a repeat, a late read or a
restart gives the same rows. Nothing is fetched or judged here.
"""

from __future__ import annotations

import time

import structlog

from shared.chain.client import ChainClient
from shared.chain.commitment import LOG_PREFIX, parse_commitment
from shared.chain.records import CommitmentRecord, Head
from shared.duels.draw import round_seed
from shared.errors import AgonError, Rejection
from shared.types import Netuid, RoundNumber
from validator.context import ValidatorContext
from validator.ledger import rounds
from validator.ledger.rounds import Close, Live

log = structlog.get_logger()


async def intake(context: ValidatorContext, head: Head) -> None:
    """Write every round whose close, and the block after it, are final at `head`."""
    await context.ledger.do(rounds.see_head, head.number, int(time.time()))
    context.head = max(context.head, head.number)
    schedule = context.rules.schedule
    number = await context.ledger.do(rounds.next_round)
    if not context.chain_checked or schedule.close(number) + 1 <= head.number:
        await _require_same_chain(context, head)
    while schedule.close(number) + 1 <= head.number and await _take_round(context, number):
        number = RoundNumber(number + 1)


async def _require_same_chain(context: ValidatorContext, head: Head) -> None:
    """Raises AgonError `chain_mismatch` when the newest written close has another hash by now."""
    newest = await context.ledger.do(rounds.newest_round, context.rules.digest)
    if newest is not None and newest.close_block > head.number:
        return
    if newest is not None:
        found = await context.chain.block_hash(newest.close_block)
        if found != newest.close_hash:
            message = f"block {newest.close_block} was {newest.close_hash} and is {found} now"
            raise AgonError("chain_mismatch", message)
    context.chain_checked = True


async def _take_round(context: ValidatorContext, number: RoundNumber) -> bool:
    """Read and write one round; False when a hash is missing, which is waited for, never replaced."""
    block = context.rules.schedule.close(number)
    close = await _read_close(context, number, block)
    if close is None:
        return False
    live = await _read_live(context.chain, context.netuid, block)
    await context.ledger.do(rounds.write_round, context.rules.digest, close, live)
    log.info("round closed", round=number, block=block, live=len(live))
    return True


async def _read_close(context: ValidatorContext, number: RoundNumber, block: int) -> Close | None:
    close_hash, next_hash = await context.chain.block_hash(block), await context.chain.block_hash(block + 1)
    if close_hash is None or next_hash is None:
        return None
    return Close(
        round=number,
        block=block,
        hash=close_hash,
        next_hash=next_hash,
        seed=round_seed(context.rules.digest, next_hash),
    )


async def _read_live(chain: ChainClient, netuid: Netuid, block: int) -> list[Live]:
    """Commitments of registered hotkeys at `block`; governance logs share the slot and are left out."""
    registered = await chain.uids_at(netuid, block)
    records = await chain.commitments_at(netuid, block)
    return [
        _read_content(record) for record in records if record.hotkey in registered and not _is_log(record)
    ]


def _is_log(record: CommitmentRecord) -> bool:
    return any(content.startswith(LOG_PREFIX.encode() + b":") for _, content in record.fields)


def _read_content(record: CommitmentRecord) -> Live:
    try:
        return Live(record.hotkey, record.block, parse_commitment(record.fields))
    except Rejection as rejection:
        return Live(record.hotkey, record.block, rejection)
