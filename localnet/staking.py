"""Moving TAO: transfers, and stake in and out of subnets.

Owns the Balances calls and `add_stake` / `remove_stake` with their limit variants. Prices come from the
subnet's pool in `ledger.py`.
"""

from __future__ import annotations

from localnet.ledger import (
    ROOT,
    U64,
    Account,
    NetUid,
    add_balance,
    add_stake_to,
    alpha_for_tao,
    free_rao,
    move_pool,
    owner_of,
    pool_of,
    price_rao,
    require,
    stake_of,
    tao_for_alpha,
    withdraw,
)
from localnet.store import State
from localnet.subnets import subnet_exists


def transfer_keep_alive(state: State, origin: str, dest: Account, value: U64) -> None:
    """Send TAO and keep the sender's account alive."""
    require(free_rao(state, origin) >= value, "FundsUnavailable")
    withdraw(state, origin, value, "NotExpendable")
    _deposit(state, origin, dest, value)


def transfer_allow_death(state: State, origin: str, dest: Account, value: U64) -> None:
    """Send TAO; what is left below the existential deposit stays with the sender."""
    require(free_rao(state, origin) >= value, "FundsUnavailable")
    add_balance(state, origin, -value)
    _deposit(state, origin, dest, value)


def transfer_all(state: State, origin: str, dest: Account, keep_alive: bool) -> None:
    """Send everything that may be sent."""
    kept = state.genesis.existential_deposit_rao if keep_alive else 0
    transfer_allow_death(state, origin, dest, max(0, free_rao(state, origin) - kept))


def _deposit(state: State, origin: str, dest: str, value: int) -> None:
    new = free_rao(state, dest) + value
    require(new >= state.genesis.existential_deposit_rao, "BelowMinimum")
    add_balance(state, dest, value)
    state.emit("Balances", "Transfer", {"from": origin, "to": dest, "amount": value})


def add_stake_limit(
    state: State,
    origin: str,
    *,
    hotkey: Account,
    netuid: NetUid,
    amount_staked: U64,
    limit_price: U64,
    allow_partial: bool,
) -> None:
    """Stake TAO unless the pool's price would end above `limit_price` (rao per alpha)."""
    require(not allow_partial, "InvalidCall")  # partial fills are not offered here
    before = price_rao(state, netuid)
    add_stake(state, origin, hotkey, netuid, amount_staked)
    after = price_rao(state, netuid)
    require(after <= limit_price or after == before, "SlippageTooHigh")


def add_stake(state: State, origin: str, hotkey: Account, netuid: NetUid, amount_staked: U64) -> None:
    """Swap TAO into alpha held on a hotkey."""
    require(subnet_exists(state, netuid), "SubnetNotExists")
    require(netuid == ROOT or bool(state.get("SubtokenEnabled", netuid)), "SubtokenDisabled")
    require(amount_staked >= state.genesis.min_stake_rao, "AmountTooLow")
    require(free_rao(state, origin) >= amount_staked, "NotEnoughBalanceToStake")
    require(owner_of(state, hotkey) is not None, "HotKeyAccountNotExists")
    alpha = alpha_for_tao(state, netuid, amount_staked)
    require(alpha > 0, "InsufficientLiquidity")
    withdraw(state, origin, amount_staked, "NotEnoughBalanceToStake")
    move_pool(state, netuid, amount_staked, -alpha)
    add_stake_to(state, hotkey, origin, netuid, alpha)
    out = int(state.get("SubnetAlphaOut", netuid, default=0))
    state.put("SubnetAlphaOut", out + alpha, netuid)
    state.emit("SubtensorModule", "StakeAdded", [origin, hotkey, amount_staked, alpha, netuid, 0])


def remove_stake_limit(
    state: State,
    origin: str,
    *,
    hotkey: Account,
    netuid: NetUid,
    amount_unstaked: U64,
    limit_price: U64,
    allow_partial: bool,
) -> None:
    """Unstake unless the pool's price would end below `limit_price` (rao per alpha)."""
    require(not allow_partial, "InvalidCall")
    before = price_rao(state, netuid)
    remove_stake(state, origin, hotkey, netuid, amount_unstaked)
    after = price_rao(state, netuid)
    require(after >= limit_price or after == before, "SlippageTooHigh")


def remove_stake(state: State, origin: str, hotkey: Account, netuid: NetUid, amount_unstaked: U64) -> None:
    """Swap alpha held on a hotkey back into TAO; more than the position means all of it."""
    require(subnet_exists(state, netuid), "SubnetNotExists")
    require(owner_of(state, hotkey) is not None, "HotKeyAccountNotExists")
    alpha = min(amount_unstaked, stake_of(state, hotkey, origin, netuid))
    require(alpha > 0, "NotEnoughStakeToWithdraw")
    tao = tao_for_alpha(state, netuid, alpha)
    require(tao <= pool_of(state, netuid)[0], "InsufficientLiquidity")
    add_stake_to(state, hotkey, origin, netuid, -alpha)
    move_pool(state, netuid, -tao, alpha)
    out = int(state.get("SubnetAlphaOut", netuid, default=0))
    state.put("SubnetAlphaOut", out - alpha, netuid)
    add_balance(state, origin, tao)
    state.emit("SubtensorModule", "StakeRemoved", [origin, hotkey, tao, alpha, netuid, 0])
