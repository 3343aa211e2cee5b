"""Yuma consensus: what one epoch makes of stakes, weights and bonds.

Pure: arrays in, arrays out; no storage, no clock. `epoch.py` reads the inputs from the chain and writes
the outputs back. Follows the reference chain's epoch (classic Yuma, Yuma3 and liquid alpha), in float64
in place of its 32-bit fixed point; both agree to about 1 part in 65535.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
U16_MAX = 65_535
# Fixed point on the chain truncates; this keeps a float just below an integer from losing one unit.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Rules:
    """The hyperparameters an epoch reads, as fractions."""

    kappa: float = 32_767 / U16_MAX
    bonds_moving_average: float = 0.9
    bonds_penalty: float = 1.0
    yuma3: bool = True
    liquid_alpha: bool = False
    alpha_low: float = 0.7
    alpha_high: float = 0.9
    alpha_sigmoid_steepness: float = 10.0
    stake_threshold: float = 0.0
    max_validators: int = 64


@dataclass(frozen=True)
class Inputs:
    """State of n neurons before the epoch; `owner` is the subnet owner's uid, or None.

    weights[i, j] is what i gives j (any scale, 0 = none); bonds[i, j] is in 0..65535 (stored scale).
    `last_epoch` is the block of the previous epoch: bonds to neurons registered since then are void.
    `listed[i, j]` says that row i names j, even with weight 0; None means exactly the positive weights.
    """

    stake: Floats
    weights: Floats
    bonds: Floats
    permits: Bools
    active: Bools
    last_update: NDArray[np.int64]
    registered_at: NDArray[np.int64]
    last_epoch: int = 0
    owner: int | None = None
    listed: Bools | None = None


@dataclass(frozen=True)
class Outputs:
    """Result of an epoch. Shares are fractions; bonds are back in the stored scale 0..65535."""

    stake_share: Floats
    consensus: Floats
    incentive: Floats
    dividends: Floats
    validator_trust: Floats
    permits: Bools
    bonds: Floats
    server_share: Floats
    validator_share: Floats


def run_yuma(rules: Rules, state: Inputs) -> Outputs:
    """One epoch of one mechanism (14 steps; the numbers in comments are the reference's)."""
    if not all(np.isfinite(x).all() for x in (state.stake, state.weights, state.bonds)):
        raise ValueError("stake, weights and bonds must be finite")
    stake = _share_stake(rules, state)  # 2
    permits = _grant_permits(rules, state, stake)  # 3
    voting = state.permits.copy()
    if state.owner is not None:
        voting[state.owner] = True
    active_stake = _normalise(np.where(state.active & voting, stake, 0.0))  # 4
    weights = _filter_weights(state, voting)  # 5
    consensus = _weighted_median(active_stake, weights, rules.kappa)  # 6
    clipped = np.minimum(weights, consensus)  # 7
    incentive = _normalise(active_stake @ clipped)  # 9
    bonded_weights = weights + rules.bonds_penalty * (clipped - weights)  # 10
    held = state.bonds
    if state.last_epoch:
        held = np.where(state.registered_at >= state.last_epoch, 0.0, held)
    if rules.yuma3:
        listed = weights > 0 if state.listed is None else state.listed
        rate = _yuma3_rate(rules, held / U16_MAX, bonded_weights, consensus)
        if isinstance(rate, np.ndarray):
            # With liquid alpha the reference walks the sparse weight row: a miner that is not in it
            # loses its bond at once.
            held = np.where(listed, held, 0.0)
        bonds, dividends = _bond_yuma3(rate, held, bonded_weights, active_stake, incentive)
    else:
        bonds, dividends = _bond_classic(rules, held, bonded_weights, active_stake, incentive)
    server, validator = _share_emission(incentive, dividends, active_stake, stake)
    return Outputs(
        stake_share=stake,
        consensus=consensus,
        incentive=incentive,
        dividends=dividends,
        validator_trust=clipped.sum(axis=1),  # 8
        permits=permits,
        bonds=np.where(permits[:, None], np.floor(bonds + ROUNDING), 0.0),
        server_share=server,
        validator_share=validator,
    )


def _normalise(values: Floats) -> Floats:
    total = values.sum()
    return np.asarray(values / total) if total > 0 else np.zeros_like(values)


def _normalise_columns(values: Floats) -> Floats:
    total = values.sum(axis=0)
    return np.asarray(np.divide(values, total, out=np.zeros_like(values), where=total > 0))


def _share_stake(rules: Rules, state: Inputs) -> Floats:
    enough = state.stake >= rules.stake_threshold
    if state.owner is not None:
        enough[state.owner] = True
    # Dividing by the peak first keeps subnormal and huge stakes finite.
    peak = state.stake.max(initial=0.0)
    return _normalise(np.where(enough, state.stake, 0.0) / peak) if peak > 0 else np.zeros_like(state.stake)


def _grant_permits(rules: Rules, state: Inputs, stake: Floats) -> Bools:
    permits = np.zeros(len(stake), dtype=np.bool_)
    order = np.argsort(-stake, kind="stable")[: rules.max_validators]
    permits[order] = stake[order] > 0
    if state.owner is not None:
        permits[state.owner] = True
    return permits


def _filter_weights(state: Inputs, voting: Bools) -> Floats:
    weights = np.where(voting[:, None], state.weights, 0.0)
    own = weights.diagonal().copy()
    np.fill_diagonal(weights, 0.0)
    if state.owner is not None:
        weights[state.owner, state.owner] = own[state.owner]
    # A weight given before (or in the block of) a registration was meant for the uid's previous holder.
    weights[state.last_update[:, None] <= state.registered_at[None, :]] = 0.0
    peak = weights.max(axis=1, keepdims=True, initial=0.0)
    scaled = np.divide(weights, peak, out=np.zeros_like(weights), where=peak > 0)
    total = scaled.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(scaled, total, out=np.zeros_like(weights), where=total > 0))


def _weighted_median(stake: Floats, weights: Floats, kappa: float) -> Floats:
    """Per column, the largest weight that at least kappa of the stake gives (or exceeds)."""
    rows = stake > 0
    stake, weights = stake[rows], weights[rows]
    if not len(stake):
        return np.zeros(weights.shape[1])
    order = np.argsort(-weights, axis=0, kind="stable")
    sorted_weights = np.take_along_axis(weights, order, axis=0)
    support = np.cumsum(stake[order], axis=0)
    first = np.argmax(support >= kappa - ROUNDING, axis=0)
    return np.asarray(sorted_weights[first, np.arange(weights.shape[1])])


def _bond_classic(
    rules: Rules, held: Floats, bonded_weights: Floats, stake: Floats, incentive: Floats
) -> tuple[Floats, Floats]:
    """Step 12a: bonds (stored scale) and dividends of classic Yuma."""
    rate = 1.0 - rules.bonds_moving_average
    gained = _normalise_columns(bonded_weights * stake[:, None])
    bonds = _normalise_columns(rate * gained + (1.0 - rate) * _normalise_columns(held))
    dividends = _normalise(bonds @ incentive)
    peak = bonds.max(axis=0, initial=0.0)
    stored = np.divide(bonds, peak, out=np.zeros_like(bonds), where=peak > 0) * U16_MAX
    return stored, dividends


def _bond_yuma3(
    rate: Floats | float, held: Floats, bonded_weights: Floats, stake: Floats, incentive: Floats
) -> tuple[Floats, Floats]:
    """Step 12b: bonds (stored scale) and dividends of Yuma3."""
    bonds = np.minimum(rate * bonded_weights + (1.0 - rate) * (held / U16_MAX), 1.0)
    dividends = _normalise(stake * (_normalise_columns(bonds) @ incentive))
    return bonds * U16_MAX, dividends


def _yuma3_rate(rules: Rules, bonds: Floats, bonded_weights: Floats, consensus: Floats) -> Floats | float:
    """How fast bonds move: one number, or with liquid alpha one for each validator and miner."""
    if not rules.liquid_alpha or not (consensus > 0).any():
        return 1.0 - rules.bonds_moving_average
    buying = bonded_weights >= bonds
    distance = np.clip(np.where(buying, bonded_weights - consensus, bonds - bonded_weights), 0.0, 1.0)
    # Beyond +-60 the sigmoid is 0 or 1 in float64; clipping keeps exp finite.
    exponent = np.clip(-rules.alpha_sigmoid_steepness * (distance - 0.5), -60.0, 60.0)
    low, high = min(rules.alpha_low, rules.alpha_high), max(rules.alpha_low, rules.alpha_high)
    return np.asarray(np.clip(low + (high - low) / (1.0 + np.exp(exponent)), low, high))


def _share_emission(
    incentive: Floats, dividends: Floats, active: Floats, stake: Floats
) -> tuple[Floats, Floats]:
    """Step 13: shares of the emission paid to each neuron as server and as validator."""
    total = incentive.sum() + dividends.sum()
    if total > 0:
        return incentive / total, dividends / total
    return np.zeros_like(stake), active.copy() if active.sum() > 0 else stake.copy()
