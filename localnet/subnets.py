"""Subnets and neurons: creation, registration, prices and pruning.

Owns the calls `register_network`, `start_call` and `burned_register` and the per-uid vectors they grow.
Called by dispatch and by genesis; refuses with the chain's own error names, in the chain's order.
"""

from __future__ import annotations

from typing import Any

from localnet.ledger import (
    ROOT,
    Account,
    NetUid,
    add_balance,
    alpha_for_tao,
    claim_hotkey,
    move_pool,
    owner_of,
    require,
    withdraw,
)
from localnet.store import State

# Per-uid vectors and the value a new neuron starts with; LastUpdate is set apart.
VECTORS: dict[str, Any] = {
    "Active": True,
    "Emission": 0,
    "Consensus": 0,
    "Incentive": 0,
    "Dividends": 0,
    "ValidatorTrust": 0,
    "ValidatorPermit": False,
    "StakeWeight": 0,
}
GREEK = "ταβγδεζηθικλμνξοπρστυφχψω"


def read_vector(state: State, name: str, netuid: int) -> list[Any]:
    """A per-uid vector as a list, empty when the subnet has no neurons."""
    return list(state.get(name, netuid, default=[]))


def subnet_exists(state: State, netuid: int) -> bool:
    """Whether the subnet was ever created."""
    return bool(state.get("NetworksAdded", netuid))


def subnet_ids(state: State) -> list[int]:
    """Every subnet but root, ascending."""
    return sorted(key[0] for key, added in state.items("NetworksAdded") if added and key[0] != ROOT)


def neuron_count(state: State, netuid: int) -> int:
    """Number of uids in use."""
    return int(state.get("SubnetworkN", netuid, default=0))


def hyperparameter(state: State, item: str, netuid: int) -> int:
    """A numeric hyperparameter: what the owner set, else the chain's default."""
    value = state.get(item, netuid)
    return int(defaults_of(state)[item] if value is None else value)


def defaults_of(state: State) -> dict[str, Any]:
    """Storage defaults of the per-subnet hyperparameters."""
    g = state.genesis
    return {
        "Tempo": 0,
        "MaxAllowedUids": g.max_uids,
        "MaxAllowedValidators": g.max_validators,
        "MinNonImmuneUids": g.min_non_immune_uids,
        "ImmuneOwnerUidsLimit": 1,
        "ImmunityPeriod": g.immunity_period,
        "ActivityCutoffFactorMilli": g.activity_cutoff_factor_milli,
        "MinAllowedWeights": g.min_allowed_weights,
        "MaxWeightsLimit": 65_535,
        "WeightsSetRateLimit": g.weights_rate_limit,
        "WeightsVersionKey": 0,
        "ServingRateLimit": g.serving_rate_limit,
        "Kappa": g.kappa,
        "Rho": 10,
        "BondsMovingAverage": g.bonds_moving_average,
        "BondsPenalty": g.bonds_penalty,
        "BondsResetOn": False,
        "Yuma3On": g.yuma3,
        "LiquidAlphaOn": g.liquid_alpha,
        "AlphaSigmoidSteepness": g.alpha_sigmoid_steepness,
        "AlphaValues": [g.alpha_low, g.alpha_high],
        "CommitRevealWeightsEnabled": False,
        "RevealPeriodEpochs": 1,
        "CollateralLockShare": 0,
        "SubnetEpochConsensus": "Yuma",
        "NetworkRegistrationAllowed": True,
        "NetworkPowRegistrationAllowed": False,
        "TransferToggle": True,
        "OwnerCutEnabled": True,
        "SubtokenEnabled": False,
        "SubnetEmissionEnabled": True,
        "MinBurn": g.min_burn_rao,
        "MaxBurn": g.max_burn_rao,
        "BurnHalfLife": g.burn_half_life,
        "BurnIncreaseMult": {"bits": (g.burn_increase_milli << 64) // 1_000},
        "PendingEpochAt": 0,
        "SubnetEpochIndex": 0,
        "LastEpochBlock": 0,
        "MechanismCountCurrent": 1,
        "MaxRegistrationsPerBlock": 1,
        "SubnetworkN": 0,
        "Active": [],
        "LastUpdate": [],
        **{name: [] for name in VECTORS},
    }


def burn_price(state: State, netuid: int) -> int:
    """Price of a registration now: the last one, halved every BurnHalfLife blocks, within its bounds."""
    anchor = state.get("BurnAnchor", netuid)
    if anchor is None:
        return 0
    age = state.block - anchor["block"]
    price = int(anchor["rao"] * 0.5 ** (age / hyperparameter(state, "BurnHalfLife", netuid)))
    low, high = hyperparameter(state, "MinBurn", netuid), hyperparameter(state, "MaxBurn", netuid)
    return max(low, min(high, price))


def lock_cost(state: State) -> int:
    """Price of a new subnet: twice the last one, falling linearly to the floor."""
    g = state.genesis
    last = state.get("NetworkLastLock")
    if last is None:
        return g.lock_cost_rao
    age = min(state.block - int(last["block"]), g.lock_reduction_interval)
    falling = 2 * int(last["rao"]) * (g.lock_reduction_interval - age) // g.lock_reduction_interval
    return max(g.lock_cost_rao, falling)


def register_network(state: State, origin: str, hotkey: Account) -> None:
    """Create a subnet owned by `origin`, whose hotkey becomes uid 0."""
    last = state.get("NetworkLastLock")
    waited = last is None or state.block - last["block"] >= state.genesis.network_rate_limit
    require(owner_of(state, hotkey) in (None, origin), "NonAssociatedColdKey")
    require(waited, "NetworkTxRateLimitExceeded")
    require(len(subnet_ids(state)) < state.genesis.subnet_limit, "SubnetLimitReached")
    cost = lock_cost(state)
    withdraw(state, origin, cost, "CannotAffordLockCost")
    claim_hotkey(state, origin, hotkey)
    create_subnet(state, origin, hotkey, cost)
    state.put("NetworkLastLock", {"rao": cost, "block": state.block})


def create_subnet(state: State, coldkey: str, hotkey: str, locked_rao: int) -> int:
    """Write a new subnet and its owner's neuron; the caller has paid and claimed the hotkey."""
    g = state.genesis
    netuid = max(subnet_ids(state), default=ROOT) + 1
    tempo = g.tempo
    written = {
        "NetworksAdded": True,
        "Tempo": tempo,
        "SubnetworkN": 0,
        "SubnetOwner": coldkey,
        "SubnetOwnerHotkey": hotkey,
        "SubnetLocked": locked_rao,
        "SubnetTAO": locked_rao,
        "SubnetAlphaIn": locked_rao,
        "SubnetAlphaOut": 0,
        "SubnetMechanism": int(g.dynamic_pool),
        "NetworkRegisteredAt": state.block,
        "LastEpochBlock": state.block - min(netuid % tempo, state.block),
        "LastMechansimStepBlock": state.block,
        "TokenSymbol": list(GREEK[netuid % len(GREEK)].encode()),
        "BurnAnchor": {"rao": g.burn_rao, "block": state.block},
    }
    for item, value in written.items():
        state.put(item, value, netuid)
    state.put("TotalNetworks", len(subnet_ids(state)) + 1)
    append_neuron(state, netuid, hotkey)
    state.emit("SubtensorModule", "NetworkAdded", [netuid, int(g.dynamic_pool)])
    return netuid


def start_call(state: State, origin: str, netuid: NetUid) -> None:
    """Start a subnet's emission, as its owner, once the delay has passed."""
    require(subnet_exists(state, netuid), "SubnetNotExists")
    require(state.get("SubnetOwner", netuid) == origin, "NotSubnetOwner")
    require(state.get("FirstEmissionBlockNumber", netuid) is None, "FirstEmissionBlockNumberAlreadySet")
    ready = state.get("NetworkRegisteredAt", netuid) + state.genesis.start_call_delay
    require(state.block >= ready, "NeedWaitingMoreBlocksToStarCall")
    start_subnet(state, netuid)


def start_subnet(state: State, netuid: int) -> None:
    """Open staking and emission of a subnet from the next block on."""
    state.put("FirstEmissionBlockNumber", state.block + 1, netuid)
    state.put("SubtokenEnabled", True, netuid)
    state.emit("SubtensorModule", "FirstEmissionBlockNumberSet", [netuid, state.block + 1])


def burned_register(state: State, origin: str, netuid: NetUid, hotkey: Account) -> None:
    """Register a hotkey for the current price."""
    require(netuid != ROOT, "RegistrationNotPermittedOnRootSubnet")
    require(subnet_exists(state, netuid), "SubnetNotExists")
    require(bool(hyperparameter(state, "NetworkRegistrationAllowed", netuid)), "SubNetRegistrationDisabled")
    require(state.get("Uids", netuid, hotkey) is None, "HotKeyAlreadyRegisteredInSubNet")
    price = burn_price(state, netuid)
    withdraw(state, origin, price, "NotEnoughBalanceToStake")
    claim_hotkey(state, origin, hotkey)
    uid = register_neuron(state, netuid, hotkey)
    burned_alpha = alpha_for_tao(state, netuid, price)
    move_pool(state, netuid, price, -burned_alpha)
    multiplier = state.get("BurnIncreaseMult", netuid) or defaults_of(state)["BurnIncreaseMult"]
    state.put("BurnAnchor", {"rao": price * multiplier["bits"] >> 64, "block": state.block}, netuid)
    state.emit("SubtensorModule", "NeuronRegistered", [netuid, uid, hotkey])


def register_neuron(state: State, netuid: int, hotkey: str) -> int:
    """Give a hotkey a uid: a new one, or that of the neuron to be pruned."""
    if neuron_count(state, netuid) < hyperparameter(state, "MaxAllowedUids", netuid):
        return append_neuron(state, netuid, hotkey)
    uid = _uid_to_prune(state, netuid)
    require(uid is not None, "NoNeuronIdAvailable")
    _replace_neuron(state, netuid, int(uid or 0), hotkey)
    return int(uid or 0)


def append_neuron(state: State, netuid: int, hotkey: str) -> int:
    """Give a hotkey the next free uid."""
    uid = neuron_count(state, netuid)
    for name, value in VECTORS.items():
        state.put(name, [*read_vector(state, name, netuid), value], netuid)
    state.put("LastUpdate", [*read_vector(state, "LastUpdate", netuid), state.block], netuid)
    state.put("SubnetworkN", uid + 1, netuid)
    _write_identity(state, netuid, uid, hotkey)
    return uid


def _write_identity(state: State, netuid: int, uid: int, hotkey: str) -> None:
    state.put("Keys", hotkey, netuid, uid)
    state.put("Uids", uid, netuid, hotkey)
    state.put("BlockAtRegistration", state.block, netuid, uid)
    state.put("IsNetworkMember", True, hotkey, netuid)


def _uid_to_prune(state: State, netuid: int) -> int | None:
    """Lowest emission, then oldest, then lowest uid; immune neurons only when too few others are left."""
    owner = state.get("SubnetOwnerHotkey", netuid)
    emission = read_vector(state, "Emission", netuid)
    immunity = hyperparameter(state, "ImmunityPeriod", netuid)
    rows = []
    for uid in range(neuron_count(state, netuid)):
        born = state.get("BlockAtRegistration", netuid, uid, default=0)
        if state.get("Keys", netuid, uid) != owner:
            rows.append((emission[uid], born, uid, state.block - born < immunity))
    exposed = [row for row in rows if not row[3]]
    enough = len(exposed) > hyperparameter(state, "MinNonImmuneUids", netuid)
    chosen = exposed if enough else [row for row in rows if row[3]]
    return min(chosen)[2] if chosen else None


def _replace_neuron(state: State, netuid: int, uid: int, hotkey: str) -> None:
    """Hand a uid over; nothing of the old neuron's weights, bonds, axon or scores survives."""
    old = state.get("Keys", netuid, uid)
    state.drop("Uids", netuid, old)
    state.drop("IsNetworkMember", old, netuid)
    state.drop("Axons", netuid, old)
    state.drop("AssociatedEvmAddress", netuid, uid)
    for item in ("Weights", "Bonds"):
        state.drop(item, netuid, uid)
        for key, row in state.items(item, netuid):
            if any(target == uid for target, _ in row):
                state.put(item, [entry for entry in row if entry[0] != uid], *key)
    for name, value in {**VECTORS, "LastUpdate": state.block}.items():
        vector = read_vector(state, name, netuid)
        vector[uid] = value
        state.put(name, vector, netuid)
    _write_identity(state, netuid, uid, hotkey)


def fund(state: State, account: str, rao: int) -> None:
    """Create money at genesis."""
    add_balance(state, account, rao)
    state.put("Balances.TotalIssuance", int(state.get("Balances.TotalIssuance", default=0)) + rao)
