"""A validator that lies, through the development chain's Yuma epochs.

Honest validators set the weights that records earn; one other puts all of its weight on its own miner.
`benchmarks/incentives/incentives.py` prints what the lie moves while stake and bonds settle over many epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.sim.simulation import Floats, print_table
from localnet.yuma import Inputs, Outputs, Rules, run_yuma

EPOCHS = 40
BEST = 0.6
"""What the best miner of another owner earns of all that the liar's miner does not; the rest burns."""

LIAR, OWN, FIRST, BURN = 2, 3, 4, 5
"""Uids: validators 0 and 1 are honest, 2 lies and owns miner 3; miner 4 is the best of the others."""


@dataclass(frozen=True)
class Outcome:
    """Shares after the last epoch, of incentive and of dividends."""

    own: float
    best: float
    dividends: float
    trust: float


def play(stake: float, earned: float, claim: float, rules: Rules) -> Outcome:
    """Epochs in which a liar with `stake` of 1 gives its own miner `claim`, and the others what is left.

    Records earn that miner `earned`, below 1.
    """
    stakes = np.array([(1 - stake) / 2, (1 - stake) / 2, stake, 0, 0, 0])
    truth = np.array([0, 0, 0, earned, BEST * (1 - earned), (1 - BEST) * (1 - earned)])
    lie = truth * (1 - claim) / (1 - earned)
    lie[OWN] = claim
    weights, bonds = np.zeros((6, 6)), np.zeros((6, 6))
    weights[:2], weights[LIAR] = truth, lie
    for _ in range(EPOCHS):
        result = run_epoch(rules, stakes, weights, bonds)
        bonds = result.bonds
    shares = result.incentive[OWN], result.incentive[FIRST], result.dividends[LIAR]
    return Outcome(*map(float, shares), trust=float(result.validator_trust[LIAR]))


def run_epoch(rules: Rules, stakes: Floats, weights: Floats, bonds: Floats) -> Outputs:
    """One epoch of six neurons that registered before anybody set weights."""
    return run_yuma(
        rules,
        Inputs(
            stake=stakes,
            weights=weights,
            bonds=bonds,
            permits=stakes > 0,
            active=np.ones(6, dtype=np.bool_),
            last_update=np.full(6, 10, dtype=np.int64),
            registered_at=np.zeros(6, dtype=np.int64),
        ),
    )


def won_by(stake: float, earned: float, claim: float, rules: Rules) -> float:
    """What the lie wins its owner, as miner and as validator, in units of either's half of the emission."""
    lied, told = play(stake, earned, claim, rules), play(stake, earned, earned, rules)
    return lied.own + lied.dividends - told.own - told.dividends


def best_lie(stake: float, rules: Rules) -> tuple[float, float]:
    """What is truly earned and what is claimed where a lie wins most, on a grid of tenths."""
    grid = [step / 10 for step in range(11)]
    lies = [(earned, claim) for earned in grid[:-1] for claim in grid if claim > earned]
    return max(lies, key=lambda lie: won_by(stake, *lie, rules))


def print_weak_validators() -> None:
    """The lie by stake, by what is earned truly and by its size, under both bond rules."""
    table: list[list[object]] = []
    for name, rules in (("Yuma3", Rules()), ("classic", Rules(yuma3=False))):
        lies = [(0.49, 0.0, 1.0), (0.1, 0.05, 1.0), (0.3, 0.05, 1.0), (0.49, 0.05, 0.2), (0.49, 0.05, 1.0)]
        lies += [(stake, *best_lie(stake, rules)) for stake in (0.1, 0.3, 0.49)]
        for stake, earned, claim in [*lies, (0.51, 0.05, 1.0)]:
            found = play(stake, earned, claim, rules)
            numbers = found.own, found.best, found.dividends, found.trust, won_by(stake, earned, claim, rules)
            table.append([name, stake, earned, claim, *numbers])
    print_table(
        f"A validator claims more for its own miner than records earn it: {EPOCHS} epochs, kappa "
        f"{Rules().kappa:.4f}; the best other earns {BEST} of the rest",
        ["bonds", "its stake", "truly earned", "claimed", "own miner's incentive", "the best other's",
         "its dividends", "its trust", "won by the lie"],
        table,
    )  # fmt: skip
