"""Prints what the decision gets wrong: false crowns at the margin, and attackers.

`python benchmarks/statistics/calibration.py [--runs N]`; seeds are fixed. Beside it, on the same rows, the
rules that are common elsewhere: a z-test at a fixed number of prompts, the same test peeked at, and a win
rate.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections import Counter
from functools import partial

import numpy as np

from benchmarks.sim.simulation import (
    DEMO,
    PRODUCTION,
    Floats,
    Model,
    Planned,
    Policy,
    crossing,
    draw,
    draw_clusters,
    draw_pool,
    draw_skewed,
    draw_slices,
    gain_bound,
    play,
    print_planned,
    print_table,
    rate_tolerance,
    wilson,
    yes,
)
from shared.stats.eprocess import alpha_share, log_wealth_path

MODELS: dict[str, Model] = {
    "ties 22%": draw,
    "no ties": partial(draw, ties=0.0),
    "skewed": draw_skewed,
    "slices +-.3": draw_slices,
    "50 templates, sd .06": partial(draw_clusters, templates=50),
    "the same, claim beyond the pool": partial(draw_clusters, templates=50, beyond=True),
    "10 templates, beyond the pool": partial(draw_clusters, templates=10, beyond=True),
    "pool of 2100, none twice": partial(draw_pool, pool=2100),
}

ROWS = 2048
DESIGN_RUNS = 1000
"""Runs behind each of the design's own numbers."""

ALPHA = 0.05
Z = 1.645


def z_test(d: Floats, margin: float) -> bool:
    """Whether a one-sided 5% z-test of mean d <= margin rejects."""
    return bool(d.mean() - Z * d.std(ddof=1) / math.sqrt(len(d)) > margin)


def false_crowns(runs: int) -> None:
    """Crown rates when the true mean is exactly the margin."""
    table = []
    for index, (name, model) in enumerate(MODELS.items()):
        rng = np.random.default_rng([1, index])
        counts = np.zeros(6, dtype=int)
        for _ in range(runs):
            d = model(rng, PRODUCTION.margin, ROWS)
            looks = range(64, ROWS + 1, 64)
            first, small = crossing(d, PRODUCTION, [ALPHA, 0.003])
            stands = first is not None and gain_bound(model(rng, PRODUCTION.margin, ROWS)) > PRODUCTION.margin
            counts += [
                first is not None,
                stands,
                small is not None,
                z_test(d, PRODUCTION.margin),
                any(z_test(d[:look], PRODUCTION.margin) for look in looks),
                float((d[:512] > 0).sum()) > 0.52 * float((d[:512] != 0).sum()),
            ]
        upper = wilson(int(counts[1]), runs)[1]
        rates = [float(count / runs) for count in counts]
        table.append([name, *rates[:2], upper, yes(upper <= ALPHA), *rates[2:]])
    print_table(
        f"False crowns at mean d = margin = .005 ({ROWS} prompts, {runs} runs; nominal alpha {ALPHA})",
        ["rows", "crossing", "crown", "crown, upper 99%", "at most alpha", "crossing at alpha .003",
         f"z-test once at {ROWS}", "z-test peeked every 64", "win rate > 52% on 512"],
        table,
    )  # fmt: skip


def slice_order(runs: int) -> None:
    """Why rows come in batches: the same rows, once in runs of a slice and once in batches."""
    table, lines = [], []
    for mean, gap, run_of, label in (
        (PRODUCTION.margin, 0.3, 64, "+-.30 about the margin"),
        (-0.01, 0.3, 64, "+-.30 about -.01"),
        (-0.01, 0.11, 512, "+.10 and -.12, the better slice first"),
    ):
        rng = np.random.default_rng([2, int(mean * 1000) + 100, run_of])
        run, batch = 0, 0
        for _ in range(runs):
            d = draw_slices(rng, mean, 1024, gap).reshape(-1, 2)
            looks = range(64, 1025, 64)
            in_runs = np.concatenate([part.T.ravel() for part in np.split(d, 512 // run_of)])
            run += bool(log_wealth_path(in_runs, PRODUCTION.margin, looks).max() >= math.log(1 / 0.003))
            batch += bool(log_wealth_path(d.ravel(), PRODUCTION.margin, looks).max() >= math.log(1 / 0.003))
        table.append([label, run_of, run / runs, batch / runs])
        lines += [
            Planned(f"{label}: runs of {run_of} crowned", 1.0, run / runs, 0.01),
            Planned(f"{label}: batches crowned", 0.0005, batch / runs, rate_tolerance(0.0005, runs)),
        ]
    print_table(
        "Slice order: two slices, alpha .003 (runs cannot be written with Batch)",
        ["slices", "rows in a run", "crowned, runs of a slice", "crowned, whole batches"],
        table,
    )
    print_planned("Slice order as planned", lines)


def against_the_plan(runs: int) -> None:
    """The design's own null numbers, margin .01, within 1984 prompts."""
    terms = dataclasses.replace(PRODUCTION, margin=0.01)
    cases: tuple[tuple[str, Model, float, int, tuple[float, ...]], ...] = (
        ("mean at the margin", draw, 0.01, 1984, (0.0095,)),
        ("pool of 500, none twice", partial(draw_pool, pool=500), 0.01, 448, (0.0035,)),
        ("pool of 2000, none twice", partial(draw_pool, pool=2000), 0.01, 1856, (0.0035,)),
        ("10 templates, sd .06, true 0", partial(draw_clusters, templates=10, beyond=True), 0.0, 1984,
         (0.079, 0.052)),
        ("50 templates, sd .06, true 0", partial(draw_clusters, templates=50, beyond=True), 0.0, 1984,
         (0.002,)),
    )  # fmt: skip
    lines = []
    for index, (name, model, mean, count, rates) in enumerate(cases):
        rng, crossed = np.random.default_rng([3, index]), np.zeros(2)
        for _ in range(runs):
            crossed += [end is not None for end in crossing(model(rng, mean, count), terms, [0.03, 0.003])]
        for level, rate, found in zip((0.03, 0.003), rates, crossed / runs, strict=False):
            tolerance = rate_tolerance(rate, runs, DESIGN_RUNS)
            lines.append(Planned(f"{name}: crossings at alpha {level}", rate, float(found), tolerance))
    print_planned("Null rates as planned (margin .01)", lines)


def whole_duels(runs: int) -> None:
    """Verdicts of whole duels through the stepper, demo terms, attackers included."""
    flat = {f"+{mean:.2f} everywhere": Policy((mean,) * 3) for mean in (0.0, 0.01, 0.05, 0.1, 0.15)}
    attackers = {
        "-.10 everywhere": Policy((-0.1,) * 3),
        "specialist +.20 +.20 -.25": Policy((0.2, 0.2, -0.25)),
        "+.15, fresh judge sees -.05": Policy((0.15,) * 3, fresh_mean=-0.05),
        "+0 at equal length, 20 tokens longer": Policy((0.0,) * 3, extra_tokens=20.0, per_token=0.0075),
        "+.15 honest, 8 tokens longer": Policy((0.15,) * 3, extra_tokens=8.0),
    }
    terms = dataclasses.replace(DEMO, alpha=alpha_share(ALPHA, 1, 4, 100))
    table = []
    for index, (name, policy) in enumerate((flat | attackers).items()):
        rng = np.random.default_rng([4, index])
        verdicts = [play(terms, policy.batches(rng)) for _ in range(runs)]
        won = sum(verdict.outcome == "won" for verdict in verdicts)
        reasons = Counter(verdict.reason for verdict in verdicts if verdict.outcome != "won")
        others = ", ".join(f"{reason} {count / runs:.2f}" for reason, count in reasons.most_common(3))
        prompts = float(np.mean([verdict.prompts for verdict in verdicts]))
        gain = float(np.mean([verdict.gain for verdict in verdicts]))
        table.append([name, won / runs, others, round(prompts), gain])
    print_table(
        f"Whole duels, demo terms (t = 1, n = 4, {runs} runs)",
        ["challenger", "won", "otherwise", "mean prompts", "mean gain"],
        table,
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    false_crowns(runs)
    slice_order(max(5, runs // 4))
    against_the_plan(max(5, runs // 2))
    whole_duels(max(5, runs // 5))


if __name__ == "__main__":
    main()
