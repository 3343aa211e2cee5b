"""Money: the loop never spends above what was allowed, whatever dies when, and pays for nothing twice."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miner.run.budget import HEADROOM, LOST_AFTER_BLOCKS, ensure_registered, refusal, settle_payment
from miner.run.context import Limits, RunContext
from miner.run.state import Attempt, Payment, RunState, load_state, state_path
from shared.chain.client import ChainClient
from shared.chain.connect import connect
from shared.chain.records import RAO
from shared.checkpoints.bundle import load_bundle
from shared.errors import AgonError, TransientError

ZERO = "sha256:" + "0" * 64


def fresh(**changes: Any) -> RunState:
    plain = {"genesis": "0x00", "netuid": 1, "hotkey": "5H", "competition": ZERO, "step": "paying"}
    return RunState.model_validate(plain | changes)


@given(
    price=st.integers(1, 10**12),
    balance=st.integers(0, 10**13),
    spent=st.integers(0, 10**12),
    limit=st.integers(0, 10**12),
    charged=st.floats(0, 1),
    registered=st.booleans(),
    blocks=st.integers(0, 400),
)
def test_no_history_spends_above_the_limit(
    *, price: int, balance: int, spent: int, limit: int, charged: float, registered: bool, blocks: int
) -> None:
    """A payment that was allowed, settled in any way, leaves the books at or below the limit."""
    reserved = int(price * HEADROOM)
    state = fresh(spent_rao=min(spent, limit))
    if refusal(state, max(1, reserved), balance, Decimal(limit) / RAO) is not None:
        return
    payment = Payment(reserved_rao=max(1, reserved), balance_rao=balance, block=7)
    open_state = state.model_copy(
        update={"payment": payment, "spent_rao": state.spent_rao + payment.reserved_rao}
    )
    assert open_state.spent_rao <= limit
    left = balance - int(charged * min(payment.reserved_rao, balance))
    after = settle_payment(open_state, registered=registered, balance_rao=left, head=7 + blocks)
    assert state.spent_rao <= after.spent_rao <= limit
    paid = balance - left
    if registered or after.payment is not None:
        assert after.spent_rao >= state.spent_rao + min(paid, payment.reserved_rao)
    if after.payment is None and not registered and paid == 0:
        assert blocks > LOST_AFTER_BLOCKS
        assert after == state


@pytest.fixture
def open_run_context(bare_world: Any) -> Any:
    """`open_run_context(max_cost)` of an unregistered miner; nothing trains or scores here."""

    def make(max_cost: str) -> RunContext:
        settings = bare_world.settings.model_copy(update={"netuid": 1})

        async def nothing(*arguments: Any, **more: Any) -> Any:
            raise AssertionError("paying neither trains nor scores")

        return RunContext(
            settings=settings,
            bundle=load_bundle(bare_world.root / "bundle", public=True),
            api="http://127.0.0.1:1",
            hotkey=bare_world.hotkey,
            netuid=settings.require_netuid(),
            locator="file:x",
            limits=Limits(0.5, Decimal(max_cost), 1, 0.01),
            train=nothing,
            score=nothing,
            talk=lambda _: None,
        )

    return make


def act(context: RunContext, state: RunState) -> RunState:
    async def run() -> RunState:
        async with connect(context.settings) as chain:
            return await ensure_registered(context, state, chain)

    return asyncio.run(run())


def balance_rao(context: RunContext) -> int:
    from shared.chain.wallets import coldkey_of, open_wallet

    async def run() -> int:
        async with connect(context.settings) as chain:
            return int(await chain.balance_tao(coldkey_of(open_wallet(context.settings))) * RAO)

    return asyncio.run(run())


def stored(context: RunContext, state: RunState) -> RunState:
    return load_state(state_path(context.settings.state, context.hotkey), state)


def test_too_dear_is_waited_for_and_costs_nothing(open_run_context: Any) -> None:
    context, state = open_run_context("0.0000001"), fresh()
    before = balance_rao(context)
    assert act(context, state) == state
    assert balance_rao(context) == before


def test_a_registration_is_booked_at_what_it_cost_and_never_paid_twice(open_run_context: Any) -> None:
    context = open_run_context("5")
    before = balance_rao(context)
    paid = act(context, fresh())
    cost = before - balance_rao(context)
    assert (paid.step, paid.payment, paid.spent_rao) == ("submitting", None, cost)
    assert 0 < cost <= 5 * RAO
    assert act(context, paid) == paid
    assert balance_rao(context) == before - cost


@pytest.mark.parametrize("sent", [True, False])
def test_a_kill_between_writing_down_and_booking_pays_once(
    open_run_context: Any, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, register = open_run_context("5"), ChainClient.register
    before = balance_rao(context)

    async def dies(self: ChainClient, *arguments: Any, **more: Any) -> Any:
        if sent:
            await register(self, *arguments, **more)
        raise TransientError("chain_unreachable", "the line went dead")

    monkeypatch.setattr(ChainClient, "register", dies)
    with pytest.raises(TransientError):
        act(context, fresh())
    monkeypatch.undo()
    after = stored(context, fresh())
    assert after.payment is not None
    assert after.spent_rao == after.payment.reserved_rao
    again = act(context, after)
    if sent:
        assert (again.step, again.payment, again.spent_rao) == (
            "submitting",
            None,
            before - balance_rao(context),
        )
    else:  # it may still arrive: nothing is sent until its era is over
        assert again == after
        assert balance_rao(context) == before
        void = after.payment.model_copy(update={"block": -0})
        late = settle_payment(
            after.model_copy(update={"payment": void}),
            registered=False,
            balance_rao=before,
            head=LOST_AFTER_BLOCKS + 1,
        )
        assert (late.payment, late.spent_rao) == (None, 0)


def test_a_refused_registration_is_given_back(open_run_context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(self: ChainClient, *arguments: Any, **more: Any) -> Any:
        raise AgonError("price_too_high", "it rose")

    monkeypatch.setattr(ChainClient, "register", refuses)
    context = open_run_context("5")
    assert act(context, fresh()) == fresh()
    assert stored(context, fresh(attempts=9)) == fresh()


def test_new_rules_void_the_attempt_and_keep_the_purse(open_run_context: Any) -> None:
    context = open_run_context("5")
    attempt = Attempt(number=3, champion=ZERO, seed=1)
    payment = Payment(reserved_rao=5, balance_rao=9, block=1)
    context.save(fresh(attempt=attempt, attempts=3, spent_rao=5, payment=payment))
    other = fresh(competition="sha256:" + "1" * 64, step="watching")
    assert stored(context, other) == other.model_copy(update={"spent_rao": 5, "payment": payment})
    with pytest.raises(AgonError) as caught:
        stored(context, fresh(genesis="0x01"))
    assert caught.value.code == "chain_mismatch"
