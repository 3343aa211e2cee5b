"""Setting up a subnet can be planned without a write and repeated without a cost."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import bittensor as bt
import pytest

from shared.chain.wallets import coldkey_of, hotkey_of
from shared.errors import AgonError
from shared.protocol.competition import RULES_VERSION
from shared.types import Netuid
from validator.owner.subnet import SubnetOptions, init_subnet, plan_subnet

if TYPE_CHECKING:
    from tests.validator.owner.conftest import World

WISH = SubnetOptions(round_blocks=1_800, stake_tao=Decimal(100))


def test_plan_writes_nothing_and_names_the_price(world: World, wallets: dict[str, bt.Wallet]) -> None:
    async def play() -> None:
        async with world() as (chain, _):
            head = await chain.head()
            plan = await plan_subnet(chain, wallets["owner"], WISH)
            assert [(step.name, step.done) for step in plan.steps] == [
                ("create", False),
                ("start", False),
                ("hyperparameter", False),
                ("hyperparameter", False),
                ("stake", False),
            ]
            assert plan.cost_tao == await chain.subnet_price_tao() + 100
            assert (plan.netuid, plan.done, await chain.head()) == (None, False, head)

    asyncio.run(play())


def test_set_up_is_complete_and_a_repeat_changes_nothing(world: World, wallets: dict[str, bt.Wallet]) -> None:
    async def play() -> None:
        async with world() as (chain, substrate):
            owner = wallets["owner"]
            first = await init_subnet(chain, owner, WISH)
            assert first.done
            assert first.netuid is not None
            assert await chain.subnet_started(first.netuid)
            assert await chain.owner_hotkey(first.netuid) == hotkey_of(owner)
            assert await chain.hyperparameter(first.netuid, "weights_version") == RULES_VERSION
            assert await chain.hyperparameter(first.netuid, "immunity_period") == 14_400
            assert [row.stake_rao > 0 for row in await chain.neurons(first.netuid)] == [True]
            head, money = await chain.head(), await chain.balance_tao(coldkey_of(owner))
            again = await init_subnet(chain, owner, WISH)
            assert (again.netuid, again.cost_tao) == (first.netuid, Decimal(0))
            assert (await chain.head(), await chain.balance_tao(coldkey_of(owner))) == (head, money)
            substrate.advance(2 * await chain.tempo(first.netuid))
            assert [row.validator_permit for row in await chain.neurons(first.netuid)] == [True]

    asyncio.run(play())


def test_nothing_is_spent_on_a_set_up_that_cannot_be_finished(
    world: World, wallets: dict[str, bt.Wallet]
) -> None:
    async def play() -> None:
        async with world() as (chain, _):
            with pytest.raises(AgonError) as caught:
                await init_subnet(chain, wallets["owner"], SubnetOptions(stake_tao=Decimal(995)))
            assert caught.value.code == "insufficient_balance"
            assert await chain.subnets_of(coldkey_of(wallets["owner"])) == []

    asyncio.run(play())


def test_another_owners_subnet_is_left_alone(world: World, wallets: dict[str, bt.Wallet]) -> None:
    async def play() -> None:
        async with world() as (chain, _):
            made = await init_subnet(chain, wallets["owner"], SubnetOptions())
            for netuid, code in ((made.netuid, "chain_rejected"), (Netuid(99), "not_found")):
                with pytest.raises(AgonError) as caught:
                    await plan_subnet(chain, wallets["other"], SubnetOptions(netuid=netuid))
                assert caught.value.code == code

    asyncio.run(play())
