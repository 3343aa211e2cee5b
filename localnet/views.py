"""Storage items as the chain shows them.

Read-only. Owns the defaults of items that were never written and the items that are computed instead of
stored (prices and clocks), all as of one block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localnet.epoch import pending_emission
from localnet.ledger import read_account
from localnet.store import State
from localnet.subnets import burn_price, defaults_of, subnet_ids

MEV_KEY_BYTES = 1_184


def _plain_items(state: State) -> dict[str, Any]:
    g = state.genesis
    return {
        "SubtensorModule.StakeThreshold": g.stake_threshold_rao,
        "SubtensorModule.TaoWeight": int(g.tao_weight * (2**64 - 1)),
        "SubtensorModule.CommitRevealWeightsVersion": 4,
        "SubtensorModule.SubnetLimit": g.subnet_limit,
        "SubtensorModule.StartCallDelay": g.start_call_delay,
        "SubtensorModule.NetworkMinLockCost": g.lock_cost_rao,
        "SubtensorModule.AdminFreezeWindow": g.admin_freeze_window,
        "SubtensorModule.OwnerHyperparamRateLimit": g.owner_hyperparam_tempos,
        "SubtensorModule.SubnetOwnerCut": g.owner_cut,
        "SubtensorModule.TotalNetworks": 1,
        "SubtensorModule.DissolveCleanupQueue": [],
        "Commitments.MaxSpace": g.commitment_space_bytes,
        "Drand.LastStoredRound": 0,
        "System.Number": state.block,
        "MevShield.NextKey": "0x" + "00" * MEV_KEY_BYTES,
    }


def blocks_since_step(state: State, netuid: int) -> int:
    """Blocks since the subnet's last epoch."""
    return state.block - int(state.get("LastMechansimStepBlock", netuid, default=state.block))


# Items that follow from others, so that an empty block writes nothing.
COMPUTED: dict[str, Callable[[State, int], Any]] = {
    "SubtensorModule.Burn": burn_price,
    "SubtensorModule.BlocksSinceLastStep": blocks_since_step,
    "SubtensorModule.PendingEmission": pending_emission,
}


def read_item(state: State, module: str, item: str, params: list[Any]) -> Any:
    """One storage value, its default, or None."""
    name = f"{module}.{item}"
    if name in COMPUTED:
        return COMPUTED[name](state, int(params[0]))
    if name == "System.Account":
        return read_account(state, str(params[0]))
    if name == "Timestamp.Now":
        return _timestamp_ms(state)
    value = state.get(name, *params)
    if value is not None:
        return value
    if module == "SubtensorModule" and item in (defaults := defaults_of(state)):
        return defaults[item]
    return _plain_items(state).get(name)


def read_map(state: State, module: str, item: str, params: list[Any]) -> list[tuple[Any, Any]]:
    """Every (key, value) of a map below the given leading keys; a single free key comes as a scalar."""
    name = f"{module}.{item}"
    if name in COMPUTED:
        return [(netuid, COMPUTED[name](state, netuid)) for netuid in subnet_ids(state)]
    rows = state.items(name, *params)
    free = len(params)
    return [(key[free] if len(key) == free + 1 else tuple(key[free:]), value) for key, value in rows]


def _timestamp_ms(state: State) -> int:
    query = "SELECT timestamp_ms FROM blocks WHERE number=?"
    return int(state.db.execute(query, (state.block,)).fetchone()[0])
