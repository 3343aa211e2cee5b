"""Copies that ride on an original whose improvement is real but not proven yet; `reigns.py` prints it.

The original duels first; its files are open afterwards, so perturbed copies of equal quality may duel from
the next round on. Both go on with fresh prompts while they are carried.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmarks.sim.quick import Ending, Stream, finish
from benchmarks.sim.simulation import PRODUCTION, Generator, Planned, draw, print_planned, print_table
from shared.stats.duel import Terms

ALPHA = 0.003
DROPPED = dataclasses.replace(PRODUCTION, alpha=ALPHA, carried_rounds=0)
CARRIED = dataclasses.replace(PRODUCTION, alpha=ALPHA)


def riding(runs: int) -> None:
    """How often the first crown goes to a copy, when open duels are dropped and when they are carried."""
    table, found, races = [], {}, max(2, runs // 5)
    for mean in (0.02, 0.03):
        for copies in (1, 3, 10):
            rng = np.random.default_rng([7, int(100 * mean), copies])
            counts = np.zeros(4)
            for _ in range(races):
                counts += _race(CARRIED, mean, copies, rng)
            shares = counts / races
            found[mean, copies] = float(shares[1])
            dropped = sum(_race(DROPPED, mean, copies, rng)[1:3].sum() for _ in range(races)) / races
            table.append([f"+{mean:.2f}", copies, *(float(share) for share in shares), float(dropped)])
    print_table(
        f"Riding on an unproven original: who is crowned first (alpha {ALPHA} a duel, {races} races)",
        ["true d", "copies", "the original", "a copy, while the original is open",
         "a copy, after the original was found futile", "nobody", "a copy, if open duels were dropped"],
        table,
    )  # fmt: skip
    print_planned(
        "Riding as planned (a copy overtakes an original that is still open)",
        [
            Planned("d = .03, 10 copies", 0.0, found[0.03, 10], 0.01),
            Planned("d = .02, 10 copies", 0.07, found[0.02, 10], 0.04),
        ],
    )


def _race(terms: Terms, mean: float, copies: int, rng: Generator) -> np.ndarray:
    """One-hot: original, copy before the original ended, copy after it ended in vain, nobody."""
    original = _play(terms, mean, rng)
    at = _round(terms, original)
    wins = [
        1 + _round(terms, copy) for copy in (_play(terms, mean, rng) for _ in range(copies)) if copy.crowned
    ]
    first = min(wins, default=None)
    if original.crowned and (first is None or at <= first):
        return np.array([1.0, 0, 0, 0])
    if first is None:
        return np.array([0, 0, 0, 1.0])
    return np.array([0, 1.0, 0, 0]) if first <= at else np.array([0, 0, 1.0, 0])


def _play(terms: Terms, mean: float, rng: Generator) -> Ending:
    return finish(terms, Stream(lambda count: draw(rng, mean, count)))


def _round(terms: Terms, ending: Ending) -> int:
    """Round of the duel's end, from 0."""
    return (ending.test - 1) // terms.max
