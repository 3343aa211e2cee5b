"""Answers of the runtime APIs, in the decoded shape that the SDK expects.

Read-only: composes the metagraph, neuron, hyperparameter, stake and swap records of one block from
storage. Owns no state and no rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bittensor import ChainError

from localnet.epoch import activity_cutoff, next_epoch_block
from localnet.ledger import (
    ROOT,
    alpha_for_tao,
    alpha_of,
    owner_of,
    pool_of,
    price_rao,
    stake_of,
    stake_weight,
    tao_for_alpha,
)
from localnet.store import State
from localnet.subnets import hyperparameter, lock_cost, neuron_count, read_vector, subnet_exists, subnet_ids
from localnet.views import blocks_since_step, read_item


def call_api(state: State, api: str, method: str, params: Any) -> Any:
    """Answer a runtime API; ChainError when this chain does not have it."""
    answer = APIS.get(f"{api}.{method}")
    if answer is None:
        raise ChainError(f"the embedded chain has no runtime API {api}.{method}")
    return answer(state, *(params.values() if isinstance(params, dict) else params))


def _axon(state: State, netuid: int, hotkey: str) -> dict[str, Any]:
    empty = {"block": 0, "version": 0, "ip": 0, "port": 0, "ip_type": 0, "protocol": 0}
    return dict(state.get("Axons", netuid, hotkey) or {**empty, "placeholder1": 0, "placeholder2": 0})


def _by_uid(state: State, item: str, netuid: int) -> list[Any]:
    """Values of a (netuid, uid) map in uid order."""
    return [value for _, value in sorted((key[1], value) for key, value in state.items(item, netuid))]


def get_metagraph(state: State, netuid: int) -> dict[str, Any] | None:
    """SubnetInfoRuntimeApi.get_metagraph: the subnet and one list per field of its neurons."""
    if not subnet_exists(state, netuid):
        return None
    tao_in, alpha_in = pool_of(state, netuid)
    return {
        "netuid": netuid,
        "name": list(f"subnet{netuid}".encode()),
        "symbol": state.get("TokenSymbol", netuid),
        "identity": None,
        "network_registered_at": state.get("NetworkRegisteredAt", netuid),
        "owner_hotkey": state.get("SubnetOwnerHotkey", netuid),
        "owner_coldkey": state.get("SubnetOwner", netuid),
        "block": state.block,
        "tempo": hyperparameter(state, "Tempo", netuid),
        "last_step": state.get("LastMechansimStepBlock", netuid),
        "blocks_since_last_step": blocks_since_step(state, netuid),
        "alpha_in": alpha_in,
        "alpha_out": state.get("SubnetAlphaOut", netuid),
        "tao_in": tao_in,
        "moving_price": {"bits": price_rao(state, netuid) * 2**32 // 10**9},
        "num_uids": neuron_count(state, netuid),
        "max_uids": hyperparameter(state, "MaxAllowedUids", netuid),
        "activity_cutoff": activity_cutoff(state, netuid),
        **_neuron_columns(state, netuid),
    }


def _neuron_columns(state: State, netuid: int) -> dict[str, list[Any]]:
    """The per-uid lists of the metagraph; ranks, trust and collateral do not exist here and read 0."""
    hotkeys = _by_uid(state, "Keys", netuid)
    zeros = ("pruning_score", "trust", "rank", "collateral_locked", "collateral_min", "collateral_earned")
    vectors = {
        "active": "Active",
        "validator_permit": "ValidatorPermit",
        "last_update": "LastUpdate",
        "emission": "Emission",
        "dividends": "Dividends",
        "incentives": "Incentive",
        "consensus": "Consensus",
    }
    return {
        "hotkeys": hotkeys,
        "coldkeys": [owner_of(state, hotkey) for hotkey in hotkeys],
        "identities": [None] * len(hotkeys),
        "axons": [_axon(state, netuid, hotkey) for hotkey in hotkeys],
        "block_at_registration": _by_uid(state, "BlockAtRegistration", netuid),
        "alpha_stake": [alpha_of(state, hotkey, netuid) for hotkey in hotkeys],
        "tao_stake": [alpha_of(state, hotkey, ROOT) for hotkey in hotkeys],
        "total_stake": [stake_weight(state, hotkey, netuid) for hotkey in hotkeys],
        **{name: read_vector(state, item, netuid) for name, item in vectors.items()},
        **{name: [0] * len(hotkeys) for name in zeros},
    }


def get_neurons_lite(state: State, netuid: int) -> list[dict[str, Any]]:
    """NeuronInfoRuntimeApi.get_neurons_lite: one record per neuron."""
    graph = get_metagraph(state, netuid)
    if graph is None:
        return []
    trust = read_vector(state, "ValidatorTrust", netuid)
    return [
        {
            "uid": uid,
            "netuid": netuid,
            "hotkey": hotkey,
            "coldkey": graph["coldkeys"][uid],
            "active": graph["active"][uid],
            "axon_info": graph["axons"][uid],
            "stake": [(graph["coldkeys"][uid], graph["total_stake"][uid])],
            "emission": graph["emission"][uid],
            "incentive": graph["incentives"][uid],
            "consensus": graph["consensus"][uid],
            "dividends": graph["dividends"][uid],
            "validator_trust": trust[uid],
            "validator_permit": graph["validator_permit"][uid],
            "last_update": graph["last_update"][uid],
            "rank": 0,
            "trust": 0,
            "pruning_score": 0,
        }
        for uid, hotkey in enumerate(graph["hotkeys"])
    ]


def get_neurons(state: State, netuid: int) -> list[dict[str, Any]]:
    """NeuronInfoRuntimeApi.get_neurons: the lite records with weights and bonds."""
    return [
        {
            **record,
            "weights": state.get("Weights", netuid, record["uid"], default=[]),
            "bonds": state.get("Bonds", netuid, record["uid"], default=[]),
        }
        for record in get_neurons_lite(state, netuid)
    ]


def get_next_epoch(state: State, netuid: int) -> int | None:
    """SubnetInfoRuntimeApi.get_next_epoch_start_block."""
    return next_epoch_block(state, netuid) or None


# Hyperparameter name -> (storage item, type tag) of get_subnet_hyperparams_v3.
HYPERPARAMETERS: dict[str, tuple[str, str]] = {
    "rho": ("Rho", "U16"),
    "kappa": ("Kappa", "U16"),
    "tempo": ("Tempo", "U16"),
    "immunity_period": ("ImmunityPeriod", "U16"),
    "min_allowed_weights": ("MinAllowedWeights", "U16"),
    "max_weights_limit": ("MaxWeightsLimit", "U16"),
    "weights_version": ("WeightsVersionKey", "U64"),
    "weights_rate_limit": ("WeightsSetRateLimit", "U64"),
    "activity_cutoff_factor": ("ActivityCutoffFactorMilli", "U32"),
    "registration_allowed": ("NetworkRegistrationAllowed", "Bool"),
    "min_burn": ("MinBurn", "TaoBalance"),
    "max_burn": ("MaxBurn", "TaoBalance"),
    "bonds_moving_avg": ("BondsMovingAverage", "U64"),
    "bonds_penalty": ("BondsPenalty", "U16"),
    "serving_rate_limit": ("ServingRateLimit", "U64"),
    "max_validators": ("MaxAllowedValidators", "U16"),
    "max_allowed_uids": ("MaxAllowedUids", "U16"),
    "commit_reveal_period": ("RevealPeriodEpochs", "U64"),
    "commit_reveal_weights_enabled": ("CommitRevealWeightsEnabled", "Bool"),
    "liquid_alpha_enabled": ("LiquidAlphaOn", "Bool"),
    "yuma3_enabled": ("Yuma3On", "Bool"),
    "bonds_reset_enabled": ("BondsResetOn", "Bool"),
    "alpha_sigmoid_steepness": ("AlphaSigmoidSteepness", "I16"),
    "burn_half_life": ("BurnHalfLife", "U16"),
    "burn_increase_mult": ("BurnIncreaseMult", "U64F64"),
    "owner_cut_enabled": ("OwnerCutEnabled", "Bool"),
    "transfers_enabled": ("TransferToggle", "Bool"),
}


def get_hyperparameters(state: State, netuid: int) -> list[dict[str, Any]] | None:
    """SubnetInfoRuntimeApi.get_subnet_hyperparams_v3: tagged values by name."""
    if not subnet_exists(state, netuid):
        return None
    values = {
        name: {tag: read_item(state, "SubtensorModule", item, [netuid])}
        for name, (item, tag) in HYPERPARAMETERS.items()
    }
    low, high = read_item(state, "SubtensorModule", "AlphaValues", [netuid])
    values |= {"alpha_low": {"U16": low}, "alpha_high": {"U16": high}}
    values["activity_cutoff"] = {"U16": activity_cutoff(state, netuid)}
    return [{"name": name, "value": value} for name, value in values.items()]


def _stake_record(state: State, hotkey: str, coldkey: str, netuid: int) -> dict[str, Any]:
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "netuid": netuid,
        "stake": stake_of(state, hotkey, coldkey, netuid),
        "locked": 0,
        "emission": 0,
        "drain": 0,
        "is_registered": state.get("Uids", netuid, hotkey) is not None,
    }


def get_stakes(state: State, coldkey: str) -> list[dict[str, Any]]:
    """StakeInfoRuntimeApi.get_stake_info_for_coldkey: every position that is not empty."""
    records = []
    for hotkey in state.get("StakingHotkeys", coldkey, default=[]):
        for key, stake in state.items("Alpha", hotkey, coldkey):
            if stake:
                records.append(_stake_record(state, hotkey, coldkey, key[2]))
    return records


def _quote(tao: int, alpha: int) -> dict[str, int]:
    fees = {"tao_fee": 0, "alpha_fee": 0, "tao_slippage": 0, "alpha_slippage": 0}
    return {"tao_amount": tao, "alpha_amount": alpha, **fees}


APIS: dict[str, Callable[..., Any]] = {
    "SubnetInfoRuntimeApi.get_metagraph": get_metagraph,
    "SubnetInfoRuntimeApi.get_next_epoch_start_block": get_next_epoch,
    "SubnetInfoRuntimeApi.get_subnet_hyperparams_v3": get_hyperparameters,
    "NeuronInfoRuntimeApi.get_neurons_lite": get_neurons_lite,
    "NeuronInfoRuntimeApi.get_neurons": get_neurons,
    "SubnetRegistrationRuntimeApi.get_network_registration_cost": lock_cost,
    "StakeInfoRuntimeApi.get_stake_info_for_coldkey": get_stakes,
    "StakeInfoRuntimeApi.get_stake_info_for_hotkey_coldkey_netuid": _stake_record,
    "SwapRuntimeApi.current_alpha_price": price_rao,
    "SwapRuntimeApi.current_alpha_price_all": lambda state: [
        {"netuid": netuid, "price": price_rao(state, netuid)} for netuid in [0, *subnet_ids(state)]
    ],
    "SwapRuntimeApi.sim_swap_tao_for_alpha": lambda state, netuid, tao: _quote(
        tao, alpha_for_tao(state, netuid, tao)
    ),
    "SwapRuntimeApi.sim_swap_alpha_for_tao": lambda state, netuid, alpha: _quote(
        tao_for_alpha(state, netuid, alpha), alpha
    ),
}
