"""Weighing: records become a weight vector, sent through an outbox row that survives any crash.

Money comes from settled records only and is keyed by hotkey until the last moment. Before anything is
sent again the chain is asked what became of the row that is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from shared.chain.records import Head, Neuron
from shared.errors import AgonError, TransientError
from shared.protocol.competition import RULES_VERSION, Payout
from shared.stats.payout import RecordTerm, live_weights, to_u16
from shared.types import Hotkey, RoundNumber, Uid
from validator.context import ValidatorContext
from validator.ledger import outbox, settlements
from validator.ledger.tables import RecordRow, WeightSetRow

log = structlog.get_logger()

GIVE_UP_BLOCKS = 20
"""Blocks after which a vector that never showed on chain counts as lost and is planned anew."""


@dataclass(frozen=True)
class Vector:
    """What a set of weights says, by hotkey and as the chain will store it."""

    shares: dict[Hotkey, float]
    uids: dict[Uid, int]
    """u16 weights, the largest 65535."""


async def weigh(context: ValidatorContext, head: Head) -> None:
    """Bring the weights on chain in line with the records, when they are due and allowed."""
    neurons = await context.chain.neurons(context.netuid)
    us = next((neuron for neuron in neurons if neuron.hotkey == context.hotkey), None)
    if us is None:
        await _wait(context, "our hotkey is not registered on the subnet")
        return
    pending = await context.ledger.do(outbox.open_set)
    if pending is not None:
        await _resolve(context, head, us, pending)
        return
    if await context.chain.commit_reveal_enabled(context.netuid):
        await _wait(context, "commit-reveal is on, and this version sets weights in the open only")
        return
    owner = await context.chain.owner_hotkey(context.netuid)
    number = _age_base(context, head)
    if all(neuron.hotkey != owner for neuron in neurons):
        await _wait(
            context, f"the subnet owner's hotkey {owner}, which the unearned share goes to, has no uid"
        )
        return
    records = await context.ledger.do(settlements.records_of)
    vector = vector_of(records, context.rules.payout, number, neurons, owner)
    if not await _is_due(context, head, us, vector):
        return
    if not us.validator_permit and us.hotkey != owner:
        await _wait(context, "no validator permit yet: it is granted by the next epoch to the staked")
        return
    row_id = await context.ledger.do(outbox.plan_set, number, vector.shares, vector.uids, us.last_update)
    await _send(context, row_id, vector)


def vector_of(
    records: Sequence[RecordRow],
    payout: Payout,
    number: RoundNumber,
    neurons: Sequence[Neuron],
    owner: Hotkey,
) -> Vector:
    """Absolute pay by hotkey; what is unearned, or earned by a hotkey that left, goes to the owner."""
    terms = [
        RecordTerm(Hotkey(record.hotkey), record.gain, max(0, number - record.round)) for record in records
    ]
    uids = {neuron.hotkey: neuron.uid for neuron in neurons}
    paid = live_weights(terms, payout.full_gain, payout.half_life_rounds).paid_to(uids)
    shares = dict(paid.shares)
    shares[owner] = shares.get(owner, 0.0) + paid.remainder
    return Vector(shares, to_u16({uids[hotkey]: share for hotkey, share in shares.items()}))


def _age_base(context: ValidatorContext, head: Head) -> RoundNumber:
    """The round that ages are counted at: the last one that has closed."""
    return RoundNumber(max(0, context.rules.schedule.round_at(head.number) - 1))


async def _is_due(context: ValidatorContext, head: Head, us: Neuron, vector: Vector) -> bool:
    since = head.number - us.last_update
    if head.number - await context.ledger.do(outbox.newest_failure) <= GIVE_UP_BLOCKS:
        return False
    if since < await context.chain.weights_rate_limit(context.netuid):
        return False
    # the chain, not the outbox, says what counts: a vector that was given up may have landed late
    same = await context.chain.weights_row(context.netuid, us.uid) == vector.uids
    stale = since >= await context.chain.activity_cutoff_blocks(context.netuid) // 2
    return not same or stale


async def _send(context: ValidatorContext, row_id: int, vector: Vector) -> None:
    """Hand the planned vector to the chain; what became of it is asked at the next head."""
    try:
        await context.chain.set_weights(
            context.wallet,
            context.netuid,
            {uid: float(weight) for uid, weight in vector.uids.items()},
            RULES_VERSION,
        )
    except TransientError as error:
        log.warning("weights not sent", error=error.message)
        return
    except AgonError as error:
        log.warning("weights refused", code=error.code, error=error.message)
        await context.ledger.do(outbox.finish_set, row_id, confirmed=False, reason=error.message)
        return
    context.weight_state = "submitted"
    await context.ledger.do(outbox.mark_submitted, row_id)
    log.info("weights submitted", uids=len(vector.uids))


async def _resolve(context: ValidatorContext, head: Head, us: Neuron, pending: WeightSetRow) -> None:
    """Ask the chain about the open row: confirmed, still on its way, or lost."""
    expected = {int(uid): weight for uid, weight in pending.uids.items()}
    if us.last_update > pending.since_block:
        on_chain = await context.chain.weights_row(context.netuid, us.uid)
        same = {int(uid): weight for uid, weight in on_chain.items()} == expected
        reason = None if same else "the chain holds another vector of ours"
        await context.ledger.do(outbox.finish_set, pending.id, confirmed=same, reason=reason)
        log.info("weights confirmed" if same else "weights differ", round=pending.round)
    elif head.number - pending.created_block > GIVE_UP_BLOCKS:
        await context.ledger.do(
            outbox.finish_set, pending.id, confirmed=False, reason="the chain never took it"
        )


async def _wait(context: ValidatorContext, reason: str) -> None:
    if context.weight_state != reason:
        context.weight_state = reason
        log.info("weights wait", reason=reason)
        await context.ledger.do(outbox.note_waiting, reason)
