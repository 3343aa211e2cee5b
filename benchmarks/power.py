"""Prints what the decision can prove: prompts to a crown, the cost of copies, slices, and what pay does.

`python benchmarks/power.py [--runs N]`; seeds are fixed. The plain rule beside it is a z-test at a fixed
number of prompts with the same error budget: what sequential testing costs, and what it saves.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from benchmarks.simulation import (
    PRODUCTION,
    SD,
    Generator,
    crossing,
    draw,
    gain_bound,
    print_table,
    stopped_futile,
)
from shared.stats.eprocess import alpha_share
from shared.stats.payout import RecordTerm, live_weights
from shared.stats.rows import mean_and_error
from shared.types import Hotkey

EFFECTS = (0.02, 0.03, 0.05, 0.08, 0.12)
CELLS = ((1, 1), (1, 10), (1, 100), (50, 1), (50, 10), (50, 100), (200, 10))
"""(round of the reign, slots) pairs that set a duel's share of alpha."""

LIMITS = (2048, 4096, 6144)
ALPHA, HORIZON = 0.05, 100
ME, RIVAL = Hotkey("me"), Hotkey("rival")


def prompts_to_crown(runs: int) -> None:
    """Median prompts to the crossing and its probability within each limit, beside a fixed-n z-test."""
    alphas = [alpha_share(ALPHA, t, n, HORIZON) for t, n in CELLS]
    table = []
    for effect in EFFECTS:
        rng = np.random.default_rng([1, int(effect * 100)])
        paths = [crossing(draw(rng, effect, LIMITS[-1]), PRODUCTION, alphas) for _ in range(runs)]
        cells = []
        for index, alpha in enumerate(alphas):
            ends = [path[index] or math.inf for path in paths]
            median = float(np.median(ends))
            shares = " ".join(f"{np.mean([end <= limit for end in ends]):.2f}" for limit in LIMITS)
            fixed = " ".join(str(fixed_size(effect, alpha, power)) for power in (0.5, 0.9))
            shown = f"{median:.0f}" if math.isfinite(median) else f">{LIMITS[-1]}"
            cells.append(f"{shown} ({shares}) [{fixed}]")
        table.append([effect, *cells])
    print_table(
        f"Prompts to cross: median (P within {LIMITS}) [z-test of power .5, .9 of fixed size], {runs} runs",
        ["true d", *(f"t={t}, n={n}" for t, n in CELLS)],
        table,
    )


def fixed_size(effect: float, alpha: float, power: float) -> int:
    """Prompts of a one-sided z-test whose size is fixed in advance, knowing the true effect."""
    quantiles = float(ndtri(1 - alpha) + ndtri(power))
    return math.ceil((quantiles * SD / (effect - PRODUCTION.margin)) ** 2)


def cost_of_futility(runs: int) -> None:
    """Prompts a copy costs, and how many honest duels the futility stop ends before they cross."""
    alpha = alpha_share(ALPHA, 1, 10, HORIZON)
    table = []
    for effect in (-0.02, 0.0, 0.01, 0.02, 0.03, 0.05):
        rng = np.random.default_rng([2, int(effect * 100) + 10])
        stops, cut = [], 0
        for _ in range(runs):
            d = draw(rng, effect, 4032)
            end, futile = crossing(d, PRODUCTION, [alpha])[0], stopped_futile(d, PRODUCTION)
            stops.append(min(end or 4032, futile or 4032))
            cut += futile is not None and futile < (end or math.inf)
        table.append(
            [f"{effect:+.2f}", round(float(np.median(stops))), round(float(np.mean(stops))), cut / runs]
        )
    print_table(
        f"Futility at planning effect {PRODUCTION.planning_effect} (t = 1, n = 10, one round, {runs} runs)",
        ["true d", "median prompts", "mean prompts", "ended as futile"],
        table,
    )  # fmt: skip


def slice_protection(runs: int) -> None:
    """How often a policy with one worse slice passes the check on fresh rows of four equal slices."""
    table = []
    for means in ((0.08, 0.08, 0.08, -0.06), (0.1, 0.1, 0.1, -0.1), (0.05, 0.05, 0.05, 0.0), (0.05,) * 4):
        rng, passed = np.random.default_rng([3, int(1000 * sum(means))]), 0
        for _ in range(runs):
            found = [mean_and_error(draw(rng, mean, PRODUCTION.gain // 4)) for mean in means]
            passed += all(mean - 1.645 * error >= -PRODUCTION.slice_tolerance for mean, error in found)
        table.append([" ".join(f"{mean:+.2f}" for mean in means), passed / runs])
    print_table(
        f"Slice check: tolerance {PRODUCTION.slice_tolerance}, {PRODUCTION.gain // 4} fresh rows a slice",
        ["slice means", "passes"],
        table,
    )


def whole_reigns(runs: int) -> None:
    """Copies thrown at one champion for 50 rounds: wrong crossings here beside a z-test at 5% each time."""
    table = []
    for copies in (1, 10, 100):
        rng = np.random.default_rng([4, copies])
        reigns = max(2, runs // (4 * copies))
        plain, ours = 0, 0
        for _ in range(reigns):
            plain_fell, ours_fell = False, False
            for t in range(1, 51):
                alpha = alpha_share(ALPHA, t, copies, HORIZON)
                for _ in range(copies):
                    d = draw(rng, 0.0, 512)
                    plain_fell |= d.mean() > PRODUCTION.margin + 1.645 * d.std(ddof=1) / math.sqrt(len(d))
                    ours_fell |= crossing(d, PRODUCTION, [alpha])[0] is not None
            plain, ours = plain + plain_fell, ours + ours_fell
        table.append([copies, reigns, plain / reigns, ours / reigns])
    print_table(
        "Reigns of 50 rounds ended by a worthless copy, 512 prompts a duel, before confirmation",
        ["copies a round", "reigns", "z-test at 5%", "this rule"],
        table,
    )


def pay_game(runs: int) -> None:
    """Round-emissions over 200 rounds from a true .12, by the way it is brought, without and with rivals."""
    ways = {
        "at once": [(0, 0.12)],
        "four drips of .03, every 10 rounds": [(start, 0.03) for start in (0, 10, 20, 30)],
        "eight drips of .015, every 5 rounds": [(start, 0.015) for start in range(0, 40, 5)],
        "hoarded for 30 rounds": [(30, 0.12)],
        "instead of .12, one step of .0135": [(0, 0.0135)],
    }
    rival = [(start, 0.04) for start in range(0, 200, 10)]
    table = []
    for name, steps in ways.items():
        rng = np.random.default_rng([5])
        totals = [
            np.mean([emissions(proven(rng, steps), proven(rng, others)) for _ in range(max(5, runs // 20))])
            for others in ([], rival)
        ]
        table.append([name, *map(float, totals)])
    print_table("Pay of a true .12 (half-life 14 rounds)", ["way", "alone", "one rival stream of .04"], table)


def proven(rng: Generator, steps: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """What confirmation proves of each true step; a step not above the margin is no record."""
    bounds = [(start, gain_bound(draw(rng, effect, PRODUCTION.gain))) for start, effect in steps]
    return [(start, bound) for start, bound in bounds if bound > PRODUCTION.margin]


def emissions(mine: Sequence[tuple[int, float]], others: Sequence[tuple[int, float]]) -> float:
    """Sum over 200 rounds of the share that `mine` earns."""
    total = 0.0
    for now in range(200):
        live = [(ME, *step) for step in mine] + [(RIVAL, *step) for step in others]
        terms = [RecordTerm(name, gain, now - start) for name, start, gain in live if start <= now]
        total += live_weights(terms, 0.10, 14.0).shares.get(ME, 0.0)
    return total


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    prompts_to_crown(runs)
    cost_of_futility(runs)
    slice_protection(runs)
    whole_reigns(runs)
    pay_game(runs)


if __name__ == "__main__":
    main()
