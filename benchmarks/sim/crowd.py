"""An honest improvement in a crowd: how long it waits and whether it is still proven; `reigns.py` prints it.

The crowd brings copies of the champion again and again and spends slots, alpha and prompts. The honest miner
commits once, after a crowd that has filled the queue before it.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from benchmarks.sim.quick import Ending, Stream, finish
from benchmarks.sim.reign import ALPHA, HONEST, Attack, reign
from benchmarks.sim.simulation import PRODUCTION, Generator, draw, print_table
from shared.types import Hotkey

JOINS = 10
"""Round in which the honest miner commits."""

ROUNDS = 60
SLOTS = 16


def crowd(runs: int) -> None:
    """Rounds until an honest improvement is crowned, by the size of the crowd and by the improvement."""
    rng = np.random.default_rng(8)
    copies = [_play(0.0, ALPHA / 1000, rng) for _ in range(max(20, runs // 4))]
    table, tries = [], max(3, runs // 6)
    for hotkeys, renewed in ((0, False), (10, False), (100, False), (250, False), (100, True)):
        for mean in (0.03, 0.05):
            found = [_race(Attack("", hotkeys, renewed=renewed), mean, copies, rng) for _ in range(tries)]
            waited, alphas, took = (list(column) for column in zip(*found, strict=True))
            won = [rounds for rounds in took if rounds is not None]
            median = f"{np.median(won):.0f}" if won else ""
            name = f"{hotkeys} hotkeys" + (", renewed instead of resting" if renewed else "")
            median_wait, alpha = float(np.median(waited)), float(np.median(alphas))
            table.append(
                [name, f"+{mean:.2f}", f"{median_wait:.0f}", f"{alpha:.1e}", len(won) / tries, median]
            )
    print_table(
        f"One honest commit in round {JOINS} behind a crowd of copies ({SLOTS} slots, {tries} reigns a line)",
        ["crowd", "true d", "rounds waited for a slot", "alpha of its duel", "crowned",
         "rounds from commit to crown"],
        table,
    )  # fmt: skip


def _race(
    attack: Attack, mean: float, copies: list[Ending], rng: Generator
) -> tuple[float, float, int | None]:
    """Rounds waited, alpha of the honest duel, and rounds from commit to crown; none without a crown."""

    def end(alpha: float, hotkey: Hotkey) -> Ending:
        return _play(mean, alpha, rng) if hotkey == HONEST else copies[int(rng.integers(len(copies)))]

    trials = reign(attack, ROUNDS, SLOTS, ALPHA, rng=rng, end=end, terms=PRODUCTION, honest_at=JOINS)
    own = next((trial for trial in trials if trial.hotkey == HONEST), None)
    if own is None or own.ending is None:
        return math.inf, math.nan, None
    last = own.round + (own.ending.test - 1) // PRODUCTION.max
    return own.round - JOINS, own.alpha, last - JOINS if own.ending.crowned else None


def _play(mean: float, alpha: float, rng: Generator) -> Ending:
    terms = dataclasses.replace(PRODUCTION, alpha=alpha)
    return finish(terms, Stream(lambda count: draw(rng, mean, count)))
