"""The budget: registers the hotkey if it has to, and never spends above what was allowed.

The most that a registration may cost is counted as spent and written down before anything is sent; what
it did cost replaces that afterwards. After a kill the chain decides whether it was paid, and a payment
that may still arrive blocks every other one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from miner.register import Quote, quote
from miner.run.context import RunContext
from miner.run.state import Payment, RunState
from shared.chain.records import RAO
from shared.errors import AgonError, TransientError

if TYPE_CHECKING:
    from shared.chain.client import ChainClient

HEADROOM = Decimal("1.25")
"""Reserved over the price asked: it may rise between the question and the block that includes us."""

LOST_AFTER_BLOCKS = 144
"""A signed call is void after its era of 128 blocks; until then it may still be included."""


async def ensure_registered(context: RunContext, state: RunState, chain: ChainClient) -> RunState:
    """The state with the hotkey registered (step `submitting`), or the same state when that has to wait.

    Raises TransientError when the chain does not answer; a payment under way is then still open.
    """
    from shared.chain.wallets import coldkey_of, open_wallet

    coldkey = coldkey_of(open_wallet(context.settings, need="public"))
    offer = await quote(chain, context.netuid, hotkey=context.hotkey, coldkey=coldkey)
    balance = _rao(offer.balance_tao)
    if state.payment is not None:
        state = settle_payment(
            state, registered=offer.uid is not None, balance_rao=balance, head=(await chain.head()).number
        )
        context.save(state)
    if offer.uid is not None:
        return state.to("submitting")
    if state.payment is not None:
        context.talk(f"a registration sent in block {state.payment.block} may still arrive: waiting for it")
        return state
    reserved = _rao(offer.price_tao * HEADROOM)
    why_not = refusal(state, reserved, balance, context.limits.max_cost_tao)
    if why_not:
        context.talk(why_not)
        return state
    return await _pay(context, state, chain, offer)


def refusal(state: RunState, reserved_rao: int, balance_rao: int, max_cost_tao: Decimal) -> str | None:
    """Why a payment of at most `reserved_rao` may not be made now."""
    left = _rao(max_cost_tao) - state.spent_rao
    if reserved_rao > left:
        return f"registering may cost {_tao(reserved_rao)} TAO; {_tao(max(0, left))} of --max-cost are left"
    if reserved_rao > balance_rao:
        return f"registering may cost {_tao(reserved_rao)} TAO; the coldkey holds {_tao(balance_rao)}"
    return None


def settle_payment(state: RunState, *, registered: bool, balance_rao: int, head: int) -> RunState:
    """The state once the chain has shown what became of an open payment; unchanged while it has not.

    It was paid when the hotkey is registered or the balance fell by half of it or more; it was not when
    the balance is whole and its era is over.
    """
    payment = state.payment
    if payment is None:
        return state
    fell = payment.balance_rao - balance_rao
    if registered or fell * 2 >= payment.reserved_rao:
        actual = min(fell, payment.reserved_rao) if fell > 0 else payment.reserved_rao
        spent = state.spent_rao - payment.reserved_rao + actual
        return state.model_copy(update={"payment": None, "spent_rao": spent})
    if head > payment.block + LOST_AFTER_BLOCKS:
        return _refund(state)
    return state


async def _pay(context: RunContext, state: RunState, chain: ChainClient, offer: Quote) -> RunState:
    from shared.chain.wallets import coldkey_of, open_wallet

    payer = open_wallet(context.settings, need="coldkey")
    most = offer.price_tao * HEADROOM
    head = await chain.head()
    balance = _rao(offer.balance_tao)
    payment = Payment(reserved_rao=_rao(most), balance_rao=balance, block=head.number)
    spent = state.spent_rao + payment.reserved_rao
    state = state.model_copy(update={"payment": payment, "spent_rao": spent})
    context.save(state)
    context.talk(f"registering {context.hotkey} for about {offer.price_tao} TAO")
    try:
        uid = await chain.register(payer, context.netuid, max_price_tao=most)
    except TransientError:
        raise  # it may have been sent: the payment stays open
    except AgonError as error:
        state = _refund(state)
        context.save(state)
        context.talk(f"not registered: {error.message}")
        return state
    left = _rao(await chain.balance_tao(coldkey_of(payer)))
    context.talk(f"registered as uid {uid}")
    return settle_payment(state, registered=True, balance_rao=left, head=head.number).to("submitting")


def _refund(state: RunState) -> RunState:
    assert state.payment is not None
    spent = state.spent_rao - state.payment.reserved_rao
    return state.model_copy(update={"payment": None, "spent_rao": spent})


def _rao(tao: Decimal) -> int:
    return int((tao * RAO).to_integral_value(rounding="ROUND_CEILING"))


def _tao(rao: int) -> Decimal:
    return Decimal(rao) / RAO
