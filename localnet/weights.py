"""Setting weights: the call a validator makes.

Owns `set_weights` and `set_mechanism_weights` with the chain's check order. Commit-reveal is off for
good, because an offline chain can open no drand round: a commit is refused as on a subnet without it.
"""

from __future__ import annotations

from typing import Any

from localnet.ledger import ROOT, U16, U64, CallRefused, NetUid, require, stake_weight
from localnet.store import State
from localnet.subnets import hyperparameter, neuron_count, read_vector, subnet_exists

U16_MAX = 65_535


def set_weights(
    state: State, origin: str, *, netuid: NetUid, dests: list[U16], weights: list[U16], version_key: U64
) -> None:
    """Set the caller's weights on the subnet's first mechanism."""
    set_mechanism_weights(
        state, origin, netuid=netuid, mecid=0, dests=dests, weights=weights, version_key=version_key
    )


def set_mechanism_weights(
    state: State,
    origin: str,
    *,
    netuid: NetUid,
    mecid: U16,
    dests: list[U16],
    weights: list[U16],
    version_key: U64,
) -> None:
    """Set the caller's weights, scaled so that the largest is 65535."""
    require(netuid != ROOT, "CanNotSetRootNetworkWeights")
    require(len(dests) == len(weights), "WeightVecNotEqualSize")
    require(subnet_exists(state, netuid) and mecid == 0, "MechanismDoesNotExist")
    count = neuron_count(state, netuid)
    require(len(dests) <= count, "UidsLengthExceedUidsInSubNet")
    uid = state.get("Uids", netuid, origin)
    if uid is None:
        raise CallRefused("HotKeyNotRegisteredInSubNet")
    owns = state.get("SubnetOwnerHotkey", netuid) == origin
    enough = stake_weight(state, origin, netuid) >= state.genesis.stake_threshold_rao
    require(owns or enough, "NotEnoughStakeToSetWeights")
    required = hyperparameter(state, "WeightsVersionKey", netuid)
    require(version_key >= required, "IncorrectWeightVersionKey")
    last = read_vector(state, "LastUpdate", netuid)
    since = state.block - last[uid]
    waited = last[uid] == 0 or since >= hyperparameter(state, "WeightsSetRateLimit", netuid)
    require(waited, "SettingWeightsTooFast")
    itself = dests == [uid]
    permitted = read_vector(state, "ValidatorPermit", netuid)[uid]
    require(owns or itself or permitted, "NeuronNoValidatorPermit")
    _check_vector(state, netuid, dests, weights, itself)
    peak = max(weights, default=0)
    scaled = [[d, w * U16_MAX // peak if peak else 0] for d, w in zip(dests, weights, strict=True)]
    state.put("Weights", scaled, netuid, uid)
    last[uid] = state.block
    state.put("LastUpdate", last, netuid)
    state.emit("SubtensorModule", "WeightsSet", [netuid, uid])


def _check_vector(state: State, netuid: int, dests: list[int], weights: list[int], itself: bool) -> None:
    require(len(set(dests)) == len(dests), "DuplicateUids")
    require(all(uid < neuron_count(state, netuid) for uid in dests), "UidVecContainInvalidOne")
    if itself:
        return
    require(len(dests) >= hyperparameter(state, "MinAllowedWeights", netuid), "WeightVecLengthIsLow")
    limit = hyperparameter(state, "MaxWeightsLimit", netuid)
    total = sum(weights)
    within = limit == U16_MAX or total == 0 or max(weights) * U16_MAX <= limit * total
    require(within, "MaxWeightExceeded")


def commit_weights(state: State, origin: str, *, netuid: NetUid, **_sealed: Any) -> None:
    """Refuse sealed weights, as the chain does where commit-reveal is off."""
    require(state.get("Uids", netuid, origin) is not None, "HotKeyNotRegisteredInSubNet")
    raise CallRefused("CommitRevealDisabled")
