"""What a subnet owner may change: the AdminUtils setters.

Owns the table of settable hyperparameters with their bounds and rate limits. Root-only setters are
refused: an embedded chain has no root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localnet.epoch import next_epoch_block
from localnet.ledger import NetUid, require
from localnet.store import State
from localnet.subnets import hyperparameter, neuron_count, subnet_exists

U16_MAX = 65_535
U64_MAX = 2**64 - 1


@dataclass(frozen=True)
class Setter:
    """One AdminUtils call: the argument it takes, the item it writes, the values it allows."""

    argument: str
    item: str
    low: int = 0
    high: int = U16_MAX
    error: str = "InvalidValue"
    boolean: bool = False


SETTERS: dict[str, Setter] = {
    "sudo_set_immunity_period": Setter("immunity_period", "ImmunityPeriod"),
    "sudo_set_min_allowed_weights": Setter("min_allowed_weights", "MinAllowedWeights"),
    "sudo_set_weights_version_key": Setter("weights_version_key", "WeightsVersionKey", high=U64_MAX),
    "sudo_set_activity_cutoff_factor": Setter("factor_milli", "ActivityCutoffFactorMilli", 1_000, 50_000),
    "sudo_set_min_burn": Setter("min_burn", "MinBurn", high=U64_MAX),
    "sudo_set_max_burn": Setter("max_burn", "MaxBurn", high=U64_MAX),
    "sudo_set_burn_half_life": Setter("burn_half_life", "BurnHalfLife", 1),
    "sudo_set_bonds_moving_average": Setter(
        "bonds_moving_average", "BondsMovingAverage", 0, 975_000, "BondsMovingAverageMaxReached"
    ),
    "sudo_set_bonds_penalty": Setter("bonds_penalty", "BondsPenalty"),
    "sudo_set_serving_rate_limit": Setter("serving_rate_limit", "ServingRateLimit", high=U64_MAX),
    "sudo_set_commit_reveal_weights_interval": Setter("interval", "RevealPeriodEpochs", 1, 100),
    "sudo_set_max_allowed_uids": Setter("max_allowed_uids", "MaxAllowedUids", 2, 256),
    "sudo_set_rho": Setter("rho", "Rho"),
    "sudo_set_alpha_sigmoid_steepness": Setter("steepness", "AlphaSigmoidSteepness", 0, 32_767),
    "sudo_set_owner_immune_neuron_limit": Setter("immune_neurons", "ImmuneOwnerUidsLimit", 1, 10),
    # Only "off" is accepted: an offline chain could never open sealed weights.
    "sudo_set_commit_reveal_weights_enabled": Setter(
        "enabled", "CommitRevealWeightsEnabled", high=0, boolean=True
    ),
    "sudo_set_liquid_alpha_enabled": Setter("enabled", "LiquidAlphaOn", boolean=True),
    "sudo_set_network_registration_allowed": Setter(
        "registration_allowed", "NetworkRegistrationAllowed", boolean=True
    ),
    "sudo_set_yuma3_enabled": Setter("enabled", "Yuma3On", boolean=True),
    "sudo_set_bonds_reset_enabled": Setter("enabled", "BondsResetOn", boolean=True),
    "sudo_set_toggle_transfer": Setter("toggle", "TransferToggle", boolean=True),
    "sudo_set_owner_cut_enabled": Setter("enabled", "OwnerCutEnabled", boolean=True),
}


def build_setter(name: str, setter: Setter) -> Callable[..., None]:
    """The dispatchable function of one entry of `SETTERS`."""

    def set_hyperparameter(state: State, origin: str, *, netuid: NetUid, **arguments: Any) -> None:
        value = arguments.pop(setter.argument, None)
        require(not arguments and isinstance(value, int), "InvalidCall")
        require(isinstance(value, bool) == setter.boolean, "InvalidCall")
        _authorise(state, origin, netuid, name)
        require(setter.low <= int(value or 0) <= setter.high, setter.error)
        state.put(setter.item, value, netuid)

    return set_hyperparameter


def _authorise(state: State, origin: str, netuid: int, name: str) -> None:
    """Owner only; not in the freeze window before an epoch; once per two tempos for each name."""
    require(subnet_exists(state, netuid), "SubnetNotExists")
    require(state.get("SubnetOwner", netuid) == origin, "BadOrigin")
    left = next_epoch_block(state, netuid) - state.block
    require(left >= state.genesis.admin_freeze_window, "AdminActionProhibitedDuringWeightsWindow")
    last = state.get("LastRateLimitedBlock", name, netuid)
    wait = state.genesis.owner_hyperparam_tempos * hyperparameter(state, "Tempo", netuid)
    require(last is None or state.block - last >= wait, "TxRateLimitExceeded")
    state.put("LastRateLimitedBlock", state.block, name, netuid)


def set_tempo(state: State, origin: str, netuid: NetUid, tempo: int) -> None:
    """Change the epoch length and restart the cycle."""
    _authorise(state, origin, netuid, "tempo")
    require(min(360, state.genesis.tempo) <= tempo <= 50_400, "TempoOutOfBounds")
    state.put("Tempo", tempo, netuid)
    state.put("LastEpochBlock", state.block, netuid)


def set_alpha_values(state: State, origin: str, netuid: NetUid, alpha_low: int, alpha_high: int) -> None:
    """Set the bounds of liquid alpha, which must be on."""
    _authorise(state, origin, netuid, "alpha_values")
    require(bool(hyperparameter(state, "LiquidAlphaOn", netuid)), "LiquidAlphaDisabled")
    require(1_638 <= alpha_high <= U16_MAX, "AlphaHighTooLow")
    require(1_638 <= alpha_low <= alpha_high, "AlphaLowOutOfRange")
    state.put("AlphaValues", [alpha_low, alpha_high], netuid)


def set_burn_increase_mult(
    state: State, origin: str, netuid: NetUid, burn_increase_mult: dict[str, int]
) -> None:
    """Set the factor by which a registration raises the price (64.64 fixed point, 1 to 3)."""
    _authorise(state, origin, netuid, "burn_increase_mult")
    require(1 << 64 <= burn_increase_mult.get("bits", 0) <= 3 << 64, "InvalidValue")
    state.put("BurnIncreaseMult", {"bits": burn_increase_mult["bits"]}, netuid)


def set_epoch_consensus(state: State, origin: str, netuid: NetUid, mode: str) -> None:
    """Choose the epoch's consensus; only Yuma runs here."""
    _authorise(state, origin, netuid, "epoch_consensus")
    require(mode == "Yuma", "InvalidValue")
    require(neuron_count(state, netuid) <= 256, "InvalidValue")
    state.put("SubnetEpochConsensus", mode, netuid)


def trigger_epoch(state: State, origin: str, netuid: NetUid) -> None:
    """Run the subnet's epoch after the freeze window instead of at its tempo."""
    require(subnet_exists(state, netuid), "SubnetNotExists")
    require(state.get("SubnetOwner", netuid) == origin, "NotSubnetOwner")
    require(not state.get("PendingEpochAt", netuid, default=0), "EpochTriggerAlreadyPending")
    state.put("PendingEpochAt", state.block + max(1, state.genesis.admin_freeze_window), netuid)
