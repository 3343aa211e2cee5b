"""Balances, ownership and stake: the money side of chain storage.

Owns every change of a free balance, of who owns a hotkey, and of who has how much alpha on which
hotkey. Called by the pallets and the epoch; refuses with the chain's own error names.
"""

from __future__ import annotations

from typing import Annotated, Any

from bittensor.sp_core import ss58_decode
from pydantic import AfterValidator, Field

from localnet.store import State

ROOT = 0


def _check_account(value: str) -> str:
    ss58_decode(value)
    return value


NetUid = Annotated[int, Field(ge=0, le=65_535)]
U16 = Annotated[int, Field(ge=0, le=65_535)]
U64 = Annotated[int, Field(ge=0, lt=2**64)]
Account = Annotated[str, AfterValidator(_check_account)]


class CallRefused(Exception):
    """A call failed in dispatch; `name` is the pallet error (or TokenError / BadOrigin) as on chain."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def require(condition: bool, error: str) -> None:
    """Refuse the call with `error` unless the condition holds."""
    if not condition:
        raise CallRefused(error)


def read_account(state: State, account: str) -> dict[str, Any]:
    """System.Account of an address; zeros when it has never been used."""
    return dict(
        state.get("System.Account", account)
        or {
            "nonce": 0,
            "consumers": 0,
            "providers": 0,
            "sufficients": 0,
            "data": {"free": 0, "reserved": 0, "frozen": 0, "flags": 0},
        }
    )


def free_rao(state: State, account: str) -> int:
    """Free balance in rao."""
    return int(read_account(state, account)["data"]["free"])


def add_balance(state: State, account: str, rao: int) -> None:
    """Add rao (negative to take) to a free balance; the caller has checked that it suffices."""
    record = read_account(state, account)
    record["data"]["free"] += rao
    record["providers"] = 1
    if record["data"]["free"] < 0:
        raise AssertionError("a free balance may not become negative")
    state.put("System.Account", record, account)


def withdraw(state: State, account: str, rao: int, error: str) -> None:
    """Take rao and keep the account alive, or refuse with `error`."""
    require(free_rao(state, account) >= rao + state.genesis.existential_deposit_rao, error)
    add_balance(state, account, -rao)


def owner_of(state: State, hotkey: str) -> str | None:
    """The coldkey that owns a hotkey, or None."""
    value = state.get("Owner", hotkey)
    return None if value is None else str(value)


def claim_hotkey(state: State, coldkey: str, hotkey: str) -> None:
    """Tie a new hotkey to its coldkey; refuse if another coldkey owns it."""
    owner = owner_of(state, hotkey)
    require(owner in (None, coldkey), "NonAssociatedColdKey")
    if owner is None:
        state.put("Owner", coldkey, hotkey)
        state.put("OwnedHotkeys", [*state.get("OwnedHotkeys", coldkey, default=[]), hotkey], coldkey)


def stake_of(state: State, hotkey: str, coldkey: str, netuid: int) -> int:
    """Alpha (TAO on root) in rao that a coldkey holds on a hotkey."""
    return int(state.get("Alpha", hotkey, coldkey, netuid, default=0))


def add_stake_to(state: State, hotkey: str, coldkey: str, netuid: int, rao: int) -> None:
    """Change one position and the totals that depend on it (negative to take)."""
    if rao == 0:
        return
    position = stake_of(state, hotkey, coldkey, netuid) + rao
    if position < 0:
        raise AssertionError("a stake may not become negative")
    state.put("Alpha", position, hotkey, coldkey, netuid)
    total = int(state.get("TotalHotkeyAlpha", hotkey, netuid, default=0))
    state.put("TotalHotkeyAlpha", total + rao, hotkey, netuid)
    staking = state.get("StakingHotkeys", coldkey, default=[])
    if hotkey not in staking:
        state.put("StakingHotkeys", [*staking, hotkey], coldkey)


def alpha_of(state: State, hotkey: str, netuid: int) -> int:
    """All alpha on a hotkey, whoever holds it."""
    return int(state.get("TotalHotkeyAlpha", hotkey, netuid, default=0))


def stake_weight(state: State, hotkey: str, netuid: int) -> int:
    """What counts as stake on a subnet, in rao: its alpha plus TaoWeight times the TAO on root."""
    return alpha_of(state, hotkey, netuid) + int(state.genesis.tao_weight * alpha_of(state, hotkey, ROOT))


def alpha_for_tao(state: State, netuid: int, tao_rao: int) -> int:
    """Alpha a pool gives for TAO: 1:1 on root and on stable pools, constant product otherwise."""
    if netuid == ROOT or not state.genesis.dynamic_pool:
        return tao_rao
    tao_in, alpha_in = pool_of(state, netuid)
    return tao_rao * alpha_in // (tao_in + tao_rao)


def tao_for_alpha(state: State, netuid: int, alpha_rao: int) -> int:
    """TAO a pool gives for alpha; the inverse of `alpha_for_tao`."""
    if netuid == ROOT or not state.genesis.dynamic_pool:
        return alpha_rao
    tao_in, alpha_in = pool_of(state, netuid)
    return alpha_rao * tao_in // (alpha_in + alpha_rao)


def pool_of(state: State, netuid: int) -> tuple[int, int]:
    """(TAO, alpha) reserves of a subnet's pool, in rao."""
    tao = int(state.get("SubnetTAO", netuid, default=0))
    return tao, int(state.get("SubnetAlphaIn", netuid, default=0))


def price_rao(state: State, netuid: int) -> int:
    """Spot price: rao of TAO for one whole alpha."""
    tao_in, alpha_in = pool_of(state, netuid)
    if netuid == ROOT or not state.genesis.dynamic_pool or alpha_in == 0:
        return 1_000_000_000
    return tao_in * 1_000_000_000 // alpha_in


def move_pool(state: State, netuid: int, tao_rao: int, alpha_rao: int) -> None:
    """Change both reserves of a subnet's pool."""
    tao_in, alpha_in = pool_of(state, netuid)
    state.put("SubnetTAO", tao_in + tao_rao, netuid)
    if netuid != ROOT and state.genesis.dynamic_pool:
        state.put("SubnetAlphaIn", alpha_in + alpha_rao, netuid)
