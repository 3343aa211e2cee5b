"""When an epoch is due and what it does to storage.

Reads a subnet into the pure `yuma.run_yuma`, writes the result back and turns emission into stake: owner
cut, incentive to miners, dividends to validators and their nominators. Called once per block, before
the extrinsics.
"""

from __future__ import annotations

import numpy as np

from localnet.ledger import add_stake_to, owner_of, stake_weight
from localnet.store import State
from localnet.subnets import hyperparameter, neuron_count, read_vector, subnet_ids
from localnet.yuma import Inputs, Outputs, Rules, run_yuma

U16_MAX = 65_535
MAX_EPOCHS_PER_BLOCK = 2
MAX_TEMPO = 50_400


def run_due_epochs(state: State) -> None:
    """Run the epochs due in this block, at most two; the others slip to the next."""
    due = [netuid for netuid in subnet_ids(state) if _is_due(state, netuid)]
    for netuid in due[:MAX_EPOCHS_PER_BLOCK]:
        run_epoch(state, netuid)


def next_epoch_block(state: State, netuid: int) -> int:
    """Block of the next epoch, or 0 when the subnet never runs one."""
    tempo = hyperparameter(state, "Tempo", netuid)
    if tempo == 0:
        return 0
    pending = int(state.get("PendingEpochAt", netuid, default=0))
    regular = int(state.get("LastEpochBlock", netuid, default=0)) + tempo
    return min(pending, regular) if pending else regular


def _is_due(state: State, netuid: int) -> bool:
    due = next_epoch_block(state, netuid)
    step = int(state.get("LastMechansimStepBlock", netuid, default=0))
    return due > 0 and (state.block >= due or state.block - step > MAX_TEMPO)


def run_epoch(state: State, netuid: int) -> None:
    """One epoch: consensus, permits, bonds, emission and the cycle's counters."""
    hotkeys = [state.get("Keys", netuid, uid) for uid in range(neuron_count(state, netuid))]
    inputs = _read_inputs(state, netuid, hotkeys)
    result = run_yuma(_read_rules(state, netuid), inputs)
    emission = _pay(state, netuid, hotkeys, result)
    _write_scores(state, netuid, inputs, result, emission)
    state.put("LastEpochBlock", state.block, netuid)
    state.put("LastMechansimStepBlock", state.block, netuid)
    state.put("SubnetEpochIndex", int(state.get("SubnetEpochIndex", netuid, default=0)) + 1, netuid)
    if state.get("PendingEpochAt", netuid, default=0):
        state.put("PendingEpochAt", 0, netuid)


def _read_rules(state: State, netuid: int) -> Rules:
    low, high = state.get("AlphaValues", netuid) or (state.genesis.alpha_low, state.genesis.alpha_high)
    return Rules(
        kappa=hyperparameter(state, "Kappa", netuid) / U16_MAX,
        bonds_moving_average=hyperparameter(state, "BondsMovingAverage", netuid) / 1_000_000,
        bonds_penalty=hyperparameter(state, "BondsPenalty", netuid) / U16_MAX,
        yuma3=bool(hyperparameter(state, "Yuma3On", netuid)),
        liquid_alpha=bool(hyperparameter(state, "LiquidAlphaOn", netuid)),
        alpha_low=low / U16_MAX,
        alpha_high=high / U16_MAX,
        alpha_sigmoid_steepness=hyperparameter(state, "AlphaSigmoidSteepness", netuid) / 100,
        stake_threshold=float(state.genesis.stake_threshold_rao),
        max_validators=hyperparameter(state, "MaxAllowedValidators", netuid),
    )


def _read_inputs(state: State, netuid: int, hotkeys: list[str]) -> Inputs:
    n = len(hotkeys)
    weights, bonds = np.zeros((n, n)), np.zeros((n, n))
    listed = np.zeros((n, n), dtype=np.bool_)
    for key, row in state.items("Weights", netuid):
        for target, value in row:
            weights[key[1], target] = value
            listed[key[1], target] = True
    for key, row in state.items("Bonds", netuid):
        for target, value in row:
            bonds[key[1], target] = value
    registered = [
        born for _, born in sorted((key[1], v) for key, v in state.items("BlockAtRegistration", netuid))
    ]
    last_update = np.array(read_vector(state, "LastUpdate", netuid), dtype=np.int64)
    cutoff = activity_cutoff(state, netuid)
    return Inputs(
        stake=np.array([stake_weight(state, hotkey, netuid) for hotkey in hotkeys], dtype=np.float64),
        weights=weights,
        bonds=bonds,
        permits=np.array(read_vector(state, "ValidatorPermit", netuid), dtype=np.bool_),
        active=last_update + cutoff >= state.block,
        last_update=last_update,
        registered_at=np.array(registered, dtype=np.int64),
        last_epoch=int(state.get("LastEpochBlock", netuid, default=0)),
        owner=state.get("Uids", netuid, state.get("SubnetOwnerHotkey", netuid)),
        listed=listed,
    )


def activity_cutoff(state: State, netuid: int) -> int:
    """Blocks after its last weights for which a validator still counts."""
    factor = hyperparameter(state, "ActivityCutoffFactorMilli", netuid)
    return factor * hyperparameter(state, "Tempo", netuid) // 1_000


def pending_emission(state: State, netuid: int) -> int:
    """Alpha in rao emitted since the last epoch, owner cut included; 0 before `start_call`."""
    first = state.get("FirstEmissionBlockNumber", netuid)
    if first is None:
        return 0
    since = max(int(state.get("LastMechansimStepBlock", netuid, default=0)), int(first) - 1)
    return max(0, state.block - since) * state.genesis.alpha_per_block_rao


def _pay(state: State, netuid: int, hotkeys: list[str], result: Outputs) -> list[int]:
    """Credit the emission as stake; returns what each uid earned, withheld incentive included."""
    total = pending_emission(state, netuid)
    owner_coldkey = str(state.get("SubnetOwner", netuid))
    cut_on = bool(hyperparameter(state, "OwnerCutEnabled", netuid))
    cut = total * state.genesis.owner_cut // U16_MAX if cut_on else 0
    add_stake_to(state, str(state.get("SubnetOwnerHotkey", netuid)), owner_coldkey, netuid, cut)
    rest, paid, earned = total - cut, cut, []
    for uid, hotkey in enumerate(hotkeys):
        server, validator = int(rest * result.server_share[uid]), int(rest * result.validator_share[uid])
        coldkey = owner_of(state, hotkey) or owner_coldkey
        # Incentive of the subnet owner's own hotkeys is withheld: this is how a subnet burns.
        if coldkey != owner_coldkey:
            add_stake_to(state, hotkey, coldkey, netuid, server)
            paid += server
        _pay_dividend(state, netuid, hotkey, coldkey, validator)
        paid += validator
        earned.append(server + validator)
    state.put("SubnetAlphaOut", int(state.get("SubnetAlphaOut", netuid, default=0)) + paid, netuid)
    burned = int(state.get("AlphaAssets.AlphaBurned", netuid, default=0))
    state.put("AlphaAssets.AlphaBurned", burned + total - paid, netuid)
    return earned


def _pay_dividend(state: State, netuid: int, hotkey: str, coldkey: str, rao: int) -> None:
    """Split a dividend: the take to the owner, the rest to all positions in proportion."""
    if rao == 0:
        return
    positions = {
        key[1]: stake for key, stake in state.items("Alpha", hotkey) if key[2] == netuid and stake > 0
    }
    total = sum(positions.values())
    shared = rao - rao * state.genesis.delegate_take // U16_MAX
    left = rao
    for holder, stake in positions.items():
        if holder != coldkey:
            part = shared * stake // total
            add_stake_to(state, hotkey, holder, netuid, part)
            left -= part
    add_stake_to(state, hotkey, coldkey, netuid, left)


def _write_scores(state: State, netuid: int, inputs: Inputs, result: Outputs, emission: list[int]) -> None:
    vectors = {
        "Consensus": result.consensus,
        "Incentive": result.incentive,
        "Dividends": result.dividends,
        "ValidatorTrust": np.minimum(result.validator_trust, 1.0),
        "StakeWeight": result.stake_share,
    }
    for name, values in vectors.items():
        # The chain truncates; the small term keeps an exact value from losing one unit to float error.
        state.put(name, [int(value * U16_MAX + 1e-6) for value in values], netuid)
    state.put("Active", [bool(value) for value in inputs.active], netuid)
    state.put("ValidatorPermit", [bool(value) for value in result.permits], netuid)
    state.put("Emission", emission, netuid)
    for uid, row in enumerate(result.bonds):
        entries = [[int(target), int(row[target])] for target in np.flatnonzero(row)]
        if entries != state.get("Bonds", netuid, uid, default=[]):
            state.put("Bonds", entries, netuid, uid)
