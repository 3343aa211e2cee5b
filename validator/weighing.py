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
from shared.models.competition import RULES_VERSION, Payout
from shared.stats.payout import RecordTerm, live_weights, to_u16
from shared.types import Hotkey, RoundNumber, Uid
from validator.house import House
from validator.ledger import outbox, settlements
from validator.ledger.tables import Record, WeightSet

log = structlog.get_logger()

GIVE_UP_BLOCKS = 20
"""Blocks after which a vector that never showed on chain counts as lost and is planned anew."""


@dataclass(frozen=True)
class Vector:
    """What a set of weights says, by hotkey and as the chain will store it."""

    shares: dict[Hotkey, float]
    uids: dict[Uid, int]
    """u16 weights, the largest 65535."""


async def weigh(house: House, head: Head) -> None:
    """Bring the weights on chain in line with the records, when they are due and allowed."""
    neurons = await house.chain.neurons(house.netuid)
    us = next((neuron for neuron in neurons if neuron.hotkey == house.hotkey), None)
    if us is None:
        await _wait(house, "our hotkey is not registered on the subnet")
        return
    pending = await house.ledger.do(outbox.open_set)
    if pending is not None:
        await _resolve(house, head, us, pending)
        return
    if await house.chain.commit_reveal_enabled(house.netuid):
        await _wait(house, "commit-reveal is on, and this version sets weights in the open only")
        return
    owner = await house.chain.owner_hotkey(house.netuid)
    number = _age_base(house, head)
    if all(neuron.hotkey != owner for neuron in neurons):
        await _wait(house, f"the subnet owner's hotkey {owner}, which the unearned share goes to, has no uid")
        return
    records = await house.ledger.do(settlements.records_of)
    vector = vector_of(records, house.rules.payout, number, neurons, owner)
    if not await _is_due(house, head, us, vector):
        return
    if not us.validator_permit and us.hotkey != owner:
        await _wait(house, "no validator permit yet: it is granted by the next epoch to the staked")
        return
    row_id = await house.ledger.do(outbox.plan_set, number, vector.shares, vector.uids, us.last_update)
    await _send(house, row_id, vector)


def vector_of(
    records: Sequence[Record],
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


def _age_base(house: House, head: Head) -> RoundNumber:
    """The round that ages are counted at: the last one that has closed."""
    return RoundNumber(max(0, house.rules.schedule.round_at(head.number) - 1))


async def _is_due(house: House, head: Head, us: Neuron, vector: Vector) -> bool:
    since = head.number - us.last_update
    if head.number - await house.ledger.do(outbox.newest_failure) <= GIVE_UP_BLOCKS:
        return False
    if since < await house.chain.weights_rate_limit(house.netuid):
        return False
    # the chain, not the outbox, says what counts: a vector that was given up may have landed late
    same = await house.chain.weights_row(house.netuid, us.uid) == vector.uids
    stale = since >= await house.chain.activity_cutoff_blocks(house.netuid) // 2
    return not same or stale


async def _send(house: House, row_id: int, vector: Vector) -> None:
    """Hand the planned vector to the chain; what became of it is asked at the next head."""
    try:
        await house.chain.set_weights(
            house.wallet,
            house.netuid,
            {uid: float(weight) for uid, weight in vector.uids.items()},
            RULES_VERSION,
        )
    except TransientError as error:
        log.warning("weights not sent", error=error.message)
        return
    except AgonError as error:
        log.warning("weights refused", code=error.code, error=error.message)
        await house.ledger.do(outbox.finish_set, row_id, confirmed=False, reason=error.message)
        return
    house.weight_state = "submitted"
    await house.ledger.do(outbox.mark_submitted, row_id)
    log.info("weights submitted", uids=len(vector.uids))


async def _resolve(house: House, head: Head, us: Neuron, pending: WeightSet) -> None:
    """Ask the chain about the open row: confirmed, still on its way, or lost."""
    expected = {int(uid): weight for uid, weight in pending.uids.items()}
    if us.last_update > pending.since_block:
        on_chain = await house.chain.weights_row(house.netuid, us.uid)
        same = {int(uid): weight for uid, weight in on_chain.items()} == expected
        reason = None if same else "the chain holds another vector of ours"
        await house.ledger.do(outbox.finish_set, pending.id, confirmed=same, reason=reason)
        log.info("weights confirmed" if same else "weights differ", round=pending.round)
    elif head.number - pending.created_block > GIVE_UP_BLOCKS:
        await house.ledger.do(
            outbox.finish_set, pending.id, confirmed=False, reason="the chain never took it"
        )


async def _wait(house: House, reason: str) -> None:
    if house.weight_state != reason:
        house.weight_state = reason
        log.info("weights wait", reason=reason)
        await house.ledger.do(outbox.note_waiting, reason)
