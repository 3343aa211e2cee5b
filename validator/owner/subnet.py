"""What the owner of a subnet does once: create it, start it, set it up for Agon, stake on it.

`agon-validator subnet plan` prints the steps and their price, `subnet init` takes those that are not done
yet, so it can be repeated after any failure. Works on every network; on a real one it spends real TAO.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import structlog

from shared.chain.client import ChainClient
from shared.chain.wallets import Wallet, coldkey_of, hotkey_of
from shared.errors import AgonError
from shared.protocol.competition import RULES_VERSION
from shared.types import Coldkey, Hotkey, Netuid

log = structlog.get_logger()

IMMUNE_ROUNDS = 8
"""A newcomer must outlive its round, the rounds its duel may be carried into, adoption and an epoch."""
MAX_IMMUNITY_BLOCKS = 65_535


@dataclass(frozen=True)
class SubnetOptions:
    """What the owner asks for."""

    netuid: Netuid | None = None
    """An existing subnet; none finds the one that this wallet owns, or creates one."""
    round_blocks: int = 1_800
    """Length of the rounds to come, for the immunity period."""
    stake_tao: Decimal = Decimal(0)
    """Stake to put on the owner's hotkey, so that it gets a validator permit."""


@dataclass(frozen=True)
class Step:
    """One step of the set-up."""

    name: str
    detail: str
    done: bool
    cost_tao: Decimal = Decimal(0)
    """Without the transaction fee."""


@dataclass(frozen=True)
class SubnetPlan:
    """All steps in their order, done or not."""

    netuid: Netuid | None
    """None while the subnet is yet to be created."""
    balance_tao: Decimal
    steps: tuple[Step, ...]

    @property
    def cost_tao(self) -> Decimal:
        """Price of the steps that are not done."""
        return sum((step.cost_tao for step in self.steps if not step.done), Decimal(0))

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return all(step.done for step in self.steps)


async def plan_subnet(chain: ChainClient, wallet: Wallet, wish: SubnetOptions) -> SubnetPlan:
    """What `init_subnet` would do now. Writes nothing.

    Raises AgonError `not_found` or `chain_rejected` when the wished subnet is absent or another's.
    """
    netuid = await _find_subnet(chain, wallet, wish)
    steps = [await _creation_step(chain, netuid)]
    started = netuid is not None and await chain.subnet_started(netuid)
    steps.append(Step("start", "open stake and emission", started))
    for name, value in await _missing_hyperparameters(chain, netuid, wish):
        steps.append(Step("hyperparameter", f"set {name} to {value}", False))
    if wish.stake_tao > 0:
        staked = netuid is not None and await _has_stake(chain, netuid, hotkey_of(wallet))
        steps.append(Step("stake", f"stake {wish.stake_tao} TAO on our hotkey", staked, wish.stake_tao))
    return SubnetPlan(netuid, await chain.balance_tao(coldkey_of(wallet)), tuple(steps))


async def init_subnet(chain: ChainClient, wallet: Wallet, wish: SubnetOptions) -> SubnetPlan:
    """Take every step that is not done, in order, and return the plan as it stands then.

    Raises AgonError `insufficient_balance` before the first step when the coldkey cannot pay for all, and
    whatever the chain refuses later; then it is simply run again.
    """
    plan = await plan_subnet(chain, wallet, wish)
    if plan.balance_tao < plan.cost_tao:
        message = f"the set-up costs {plan.cost_tao} TAO and fees; the coldkey has {plan.balance_tao}"
        raise AgonError("insufficient_balance", message)
    netuid = plan.netuid
    if netuid is None:
        netuid = await chain.create_subnet(wallet)
        log.info("subnet created", netuid=netuid)
    if not await chain.subnet_started(netuid):
        await chain.start_subnet(wallet, netuid)
        log.info("subnet started", netuid=netuid)
    for name, value in await _missing_hyperparameters(chain, netuid, wish):
        await chain.set_hyperparameter(wallet, netuid, name, value)
        log.info("hyperparameter set", netuid=netuid, name=name, value=value)
    hotkey = hotkey_of(wallet)
    if wish.stake_tao > 0 and not await _has_stake(chain, netuid, hotkey):
        await chain.add_stake(wallet, netuid, wish.stake_tao, hotkey)
        log.info("stake added", netuid=netuid, amount_tao=str(wish.stake_tao))
    return await plan_subnet(chain, wallet, SubnetOptions(netuid, wish.round_blocks, wish.stake_tao))


async def _find_subnet(chain: ChainClient, wallet: Wallet, wish: SubnetOptions) -> Netuid | None:
    """The wished subnet, or the first that this wallet owns with this hotkey."""
    coldkey, hotkey = coldkey_of(wallet), hotkey_of(wallet)
    if wish.netuid is not None:
        await _require_owned(chain, wish.netuid, coldkey)
        return wish.netuid
    for netuid in await chain.subnets_of(coldkey):
        if await chain.owner_hotkey(netuid) == hotkey:
            return netuid
    return None


async def _require_owned(chain: ChainClient, netuid: Netuid, coldkey: Coldkey) -> None:
    if not await chain.subnet_exists(netuid):
        raise AgonError("not_found", f"subnet {netuid} does not exist", help="check --netuid")
    owner = await chain.owner_coldkey(netuid)
    if owner != coldkey:
        raise AgonError(
            "chain_rejected", f"subnet {netuid} belongs to {owner}", help="use its owner's wallet"
        )


async def _creation_step(chain: ChainClient, netuid: Netuid | None) -> Step:
    if netuid is not None:
        return Step("create", f"subnet {netuid} exists", True)
    return Step("create", "create a subnet owned by this wallet", False, await chain.subnet_price_tao())


async def _missing_hyperparameters(
    chain: ChainClient, netuid: Netuid | None, wish: SubnetOptions
) -> list[tuple[str, int]]:
    """Hyperparameters that are not yet as Agon needs them, with the values to set."""
    immunity = min(IMMUNE_ROUNDS * wish.round_blocks, MAX_IMMUNITY_BLOCKS)
    if netuid is None:
        return [("weights_version", RULES_VERSION), ("immunity_period", immunity)]
    missing: list[tuple[str, int]] = []
    # validators that run older rules must not be able to set weights
    if int(await chain.hyperparameter(netuid, "weights_version") or 0) != RULES_VERSION:
        missing.append(("weights_version", RULES_VERSION))
    if int(await chain.hyperparameter(netuid, "immunity_period") or 0) < immunity:
        missing.append(("immunity_period", immunity))
    # a vector may hold the owner alone, while nobody has earned anything
    if int(await chain.hyperparameter(netuid, "min_allowed_weights") or 0) > 1:
        missing.append(("min_allowed_weights", 1))
    return missing


async def _has_stake(chain: ChainClient, netuid: Netuid, hotkey: Hotkey) -> bool:
    return any(row.stake_rao > 0 for row in await chain.neurons(netuid) if row.hotkey == hotkey)
