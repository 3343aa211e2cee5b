"""Prints what the decision can prove: prompts to a crown, the cost of copies, and slices.

`python benchmarks/statistics/power.py [--runs N]`; seeds are fixed. The plain rule beside it is a z-test at
a fixed number of prompts with the same error budget: what sequential testing costs, and what it saves.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from benchmarks.sim.simulation import (
    PRODUCTION,
    SD,
    Planned,
    crossing,
    draw,
    draw_wide,
    print_planned,
    print_table,
    rate_tolerance,
    stopped_futile,
    yes,
)
from shared.protocol.competition import SLICE_SD
from shared.stats.eprocess import alpha_share
from shared.stats.rows import mean_and_error

EFFECTS = (0.02, 0.03, 0.05, 0.08, 0.12)
CELLS = tuple((t, n) for t in (1, 50, 200) for n in (1, 10, 100))
"""(round of the reign, slots) pairs that set a duel's share of alpha."""

LIMITS = (2000, 4000, 6000)
LONGEST = 6144
PLANNED_MEDIANS = {
    0.02: (3072, 4416, None, 5632, None, None, 5632, None, None),
    0.03: (1152, 1728, 2240, 2176, 2688, 3200, 2176, 2688, 3200),
    0.05: (384, 576, 704, 704, 832, 960, 704, 832, 960),
    0.08: (192, 256, 320, 320, 384, 384, 320, 384, 384),
    0.12: (128, 128, 192, 192, 192, 256, 192, 192, 256),
}
"""The design's own medians for CELLS; none beyond 6000 prompts."""

PLANNED_SHARES = {
    0.02: (".27 .69 .90", ".11 .41 .71", ".04 .20 .49", ".04 .24 .55", ".01 .10 .35", ".00 .05 .19",
           ".04 .23 .54", ".01 .10 .35", ".00 .05 .19"),
    0.03: (".84 1 1", ".62 .98 1", ".41 .95 1", ".44 .96 1", ".27 .90 1", ".16 .74 .98", ".44 .96 1",
           ".27 .89 1", ".15 .74 .98"),
}  # fmt: skip
"""The design's shares of duels that crossed within LIMITS."""

DESIGN_RUNS = 500
"""Runs behind each of the design's own numbers."""

ALPHA, HORIZON = 0.05, 100

MEASURED_TIES = 0.17
"""Share of ties where `SLICE_SD` was measured: `benchmarks/models/variance.py`, docs/results/judging.md."""


def prompts_to_crown(runs: int) -> None:
    """Median prompts to the crossing and its probability within each limit, beside a fixed-n z-test."""
    alphas = [alpha_share(ALPHA, t, n, HORIZON) for t, n in CELLS]
    table, against = [], []
    for effect in EFFECTS:
        rng = np.random.default_rng([1, int(effect * 100)])
        paths = [crossing(draw(rng, effect, LONGEST), PRODUCTION, alphas) for _ in range(runs)]
        cells = []
        for index, alpha in enumerate(alphas):
            ends = [path[index] or math.inf for path in paths]
            median = float(np.median(ends))
            shares = [float(np.mean([end <= limit for end in ends])) for limit in LIMITS]
            fixed = " ".join(str(fixed_size(effect, alpha, power)) for power in (0.5, 0.9))
            shown = f"{median:.0f}" if math.isfinite(median) else f">{LIMITS[-1]}"
            cells.append(f"{shown} ({' '.join(f'{share:.2f}' for share in shares)}) [{fixed}]")
            against.append(as_planned(effect, index, median, shares, runs))
        table.append([effect, *cells])
    print_table(
        f"Prompts to cross: median (P within {LIMITS}) [z-test of power .5, .9 of fixed size], {runs} runs",
        ["true d", *(f"t={t}, n={n}" for t, n in CELLS)],
        table,
    )
    print_table(
        "Prompts to cross as planned: medians within one look or 10%, shares within 3 standard errors",
        ["true d", "t", "slots", "planned median", "found", "within", "planned shares", "found", "within"],
        against,
    )


def as_planned(effect: float, cell: int, median: float, shares: Sequence[float], runs: int) -> list[object]:
    """One cell of the power table beside the design's."""
    plan = PLANNED_MEDIANS[effect][cell]
    close = abs(median - plan) <= max(PRODUCTION.look, 0.1 * plan) if plan else median > 0.9 * LIMITS[-1]
    planned = PLANNED_SHARES.get(effect, ("",) * len(CELLS))[cell]
    pairs = zip(map(float, planned.split()), shares, strict=False)
    agree = all(abs(share - rate) <= rate_tolerance(rate, runs, DESIGN_RUNS) for rate, share in pairs)
    found = [f"{median:.0f}" if math.isfinite(median) else f">{LIMITS[-1]}", yes(close)]
    told = [planned, " ".join(f"{share:.2f}" for share in shares), yes(agree)] if planned else ["", "", ""]
    return [effect, *CELLS[cell], plan or f">{LIMITS[-1]} or none", *found, *told]


def fixed_size(effect: float, alpha: float, power: float, sd: float = SD) -> int:
    """Prompts of a one-sided z-test whose size is fixed in advance, knowing the true effect."""
    quantiles = float(ndtri(1 - alpha) + ndtri(power))
    return math.ceil((quantiles * sd / (effect - PRODUCTION.margin)) ** 2)


def cost_of_futility(runs: int) -> None:
    """Prompts a copy costs, and how many honest duels the futility stop ends before they cross."""
    alpha = alpha_share(ALPHA, 1, 10, HORIZON)
    table, cut, copy, short = [], {}, 0.0, 1984
    for effect in (-0.02, 0.0, 0.01, 0.02, 0.03, 0.05):
        rng = np.random.default_rng([2, int(effect * 100) + 10])
        stops, ended, early = [], 0, 0
        for _ in range(runs):
            d = draw(rng, effect, 4032)
            end, futile = crossing(d, PRODUCTION, [alpha])[0], stopped_futile(d, PRODUCTION)
            stops.append(min(end or 4032, futile or 4032))
            ended += futile is not None and futile < (end or math.inf)
            early += futile is not None and futile < min(end or math.inf, short)
        cut[effect] = early / runs
        copy = float(np.minimum(stops, short).mean()) if effect == 0.0 else copy
        table.append(
            [f"{effect:+.2f}", round(float(np.median(stops))), round(float(np.mean(stops))), ended / runs]
        )
    print_table(
        f"Futility at planning effect {PRODUCTION.planning_effect} (t = 1, n = 10, one round, {runs} runs)",
        ["true d", "median prompts", "mean prompts", "ended as futile"],
        table,
    )
    shares = [
        Planned(
            f"true d {effect}: ended as futile", rate, cut[effect], rate_tolerance(rate, runs, DESIGN_RUNS)
        )
        for effect, rate in ((0.02, 0.23), (0.03, 0.02), (0.05, 0.0))
    ]
    print_planned(
        f"Futility as planned, within {short} prompts",
        [Planned("prompts of a copy, mean", 663, copy, 66), *shares],
    )


def measured_noise(runs: int) -> None:
    """The same duels at the noise of a real model: to the crossing alone, and until they are decided."""
    alpha, rounds = alpha_share(ALPHA, 1, 10, HORIZON), 1 + PRODUCTION.carried_rounds
    longest, table = PRODUCTION.max * rounds, []
    for effect in (0.0, *EFFECTS):
        rng = np.random.default_rng([4, int(effect * 100)])
        ends, stops, futile = [], [], 0
        for _ in range(runs):
            d = draw_wide(rng, effect, longest, ties=MEASURED_TIES, sd=SLICE_SD)
            end, given_up = crossing(d, PRODUCTION, [alpha])[0] or math.inf, stopped_futile(d, PRODUCTION)
            ends.append(end)
            stops.append(min(end, given_up or math.inf, longest))
            futile += given_up is not None and given_up < end
        median = float(np.median(ends))
        sizes = [fixed_size(effect, alpha, power, SLICE_SD) if effect else "-" for power in (0.5, 0.9)]
        table.append([
            f"{effect:+.2f}", f"{median:.0f}" if math.isfinite(median) else f">{longest}",
            *(float(np.mean(np.array(ends) <= limit)) for limit in (PRODUCTION.max, longest)),
            *sizes, round(float(np.mean(stops))), futile / runs,
        ])  # fmt: skip
    print_table(
        f"At the noise of a real model: sd {SLICE_SD}, ties {MEASURED_TIES} (t = 1, n = 10, {runs} runs)",
        ["true d (+0.00: a noisy copy)", "median prompts to cross, futility aside",
         f"P within {PRODUCTION.max}", f"P within {rounds} such rounds", "z-test of power .5", "of .9",
         "mean prompts until crossed or futile", "ended as futile"],
        table,
    )  # fmt: skip


def slice_protection(runs: int) -> None:
    """How often a policy with one worse slice passes the check on fresh rows of four equal slices."""
    table, passes = [], []
    for means in ((0.08, 0.08, 0.08, -0.06), (0.1, 0.1, 0.1, -0.1), (0.05, 0.05, 0.05, 0.0), (0.05,) * 4):
        rng, passed = np.random.default_rng([3, int(1000 * sum(means))]), 0
        for _ in range(runs):
            found = [mean_and_error(draw(rng, mean, PRODUCTION.gain // 4)) for mean in means]
            passed += all(mean - 1.645 * error >= -PRODUCTION.slice_tolerance for mean, error in found)
        passes.append(passed / runs)
        table.append([" ".join(f"{mean:+.2f}" for mean in means), passes[-1]])
    print_table(
        f"Slice check: tolerance {PRODUCTION.slice_tolerance}, {PRODUCTION.gain // 4} fresh rows a slice",
        ["slice means", "passes"],
        table,
    )
    print_planned(
        "Slices as planned",
        [
            Planned("one slice at -.06 slips past", 0.0, passes[0], 0.01),
            Planned("one slice at -.10 slips past", 0.0, passes[1], 0.01),
            Planned("an honest policy with one flat slice passes", 1.0, passes[2], 0.02),
        ],
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    prompts_to_crown(runs)
    cost_of_futility(runs)
    measured_noise(runs)
    slice_protection(10 * runs)


if __name__ == "__main__":
    main()
