"""Prints how far a gain can be trusted: its coverage given a crown, and what other estimates would pay.

`python benchmarks/statistics/gains.py [--runs N]`; seeds are fixed. Gains come from the real confirmation
on fresh rows. Beside them, on the same duels: the mean at the stop, two bounds on the rows that led to the
stop, and the means that rules with a fixed number of prompts would publish.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

from benchmarks.sim.quick import Ending, Stream, finish
from benchmarks.sim.simulation import (
    PRODUCTION,
    Generator,
    Planned,
    crossing,
    draw,
    gain_bound,
    print_planned,
    print_table,
    rate_tolerance,
    wilson,
    yes,
)
from benchmarks.statistics.duels import FIXED, Rule
from shared.stats.duel import Terms
from shared.stats.eprocess import alpha_share, confidence_sequence

EFFECTS = (0.02, 0.03, 0.05, 0.12)
DESIGN_RUNS = 250
"""Crossed duels behind each of the design's own numbers."""


def stream_of(rng: Generator, mean: float) -> Stream:
    """The rows of one duel of true mean d."""
    return Stream(lambda count: draw(rng, mean, count))


def duels_with_rows(terms: Terms, mean: float, runs: int, rng: Generator) -> list[tuple[Ending, Stream]]:
    """Whole duels, carried rounds included."""
    streams = [stream_of(rng, mean) for _ in range(runs)]
    return [(finish(terms, stream), stream) for stream in streams]


def coverage(runs: int) -> None:
    """How often the gain of a crowned duel exceeds the truth, and how far the mean at the stop does."""
    table = []
    for mean in EFFECTS:
        for t in (1, 200):
            terms = dataclasses.replace(PRODUCTION, alpha=alpha_share(0.05, t, 10, 100))
            rng = np.random.default_rng([1, t, int(mean * 100)])
            played = duels_with_rows(terms, mean, runs, rng)
            crossed = [end for end, _ in played if end.bound is not None]
            crowned = [(end, stream.first(end.test)) for end, stream in played if end.crowned]
            if not crowned:
                continue
            above = sum((end.bound or 0.0) > mean for end, _ in crowned)
            low, high = wilson(above, len(crowned))
            stops = [end.mean for end, _ in crowned]
            table.append(
                [f"+{mean:.2f}", t, len(crossed) / runs, len(crowned) / runs, 1 - above / len(crowned),
                 f"{1 - high:.3f}..{1 - low:.3f}", yes(1 - high <= 0.92 and 1 - low >= 0.88),
                 float(np.mean([end.bound for end, _ in crowned])),
                 f"{float(np.mean(stops)) - mean:+.4f}",
                 float(np.mean([stop > mean for stop in stops])),
                 float(np.mean([gain_bound(rows) > mean for _, rows in crowned])),
                 float(np.mean([confidence_sequence(rows, 0.2)[0] > mean for _, rows in crowned[:400]]))]
            )  # fmt: skip
    print_table(
        f"Coverage of the gain given a crown (10 slots, carried rounds included, {runs} duels a line)",
        ["true d", "t", "crossed", "crowned", "gain at most the truth", "99% interval", "within .88..92",
         "mean gain bound", "mean d at the stop, minus the truth", "mean at the stop exceeds the truth",
         "90% bound at the stop exceeds it", "anytime 90% bound exceeds it"],
        table,
    )  # fmt: skip


def winners_curse(runs: int) -> None:
    """What rules with a fixed number of prompts would credit those that they crown."""
    table = []
    for index, (name, (size, rule)) in enumerate(FIXED.items()):
        for mean in (0.0, 0.02, 0.05):
            rng = np.random.default_rng([2, index, int(mean * 100)])
            credited = [d.mean() for d in crowned_by(rule, size, mean, runs, rng)]
            if credited:
                excess = np.array(credited) - mean
                table.append(
                    [name, f"{mean:+.2f}", len(credited) / runs, f"{float(excess.mean()):+.4f}",
                     float(np.mean(excess > 0))]
                )  # fmt: skip
    print_table(
        f"The winner's curse of fixed rules: mean d of the crowned on their own rows ({runs} duels a line)",
        ["rule", "true d", "crowned", "mean credited, minus the truth", "credited more than the truth"],
        table,
    )


def crowned_by(rule: Rule, size: int, mean: float, runs: int, rng: Generator) -> list[np.ndarray]:
    """The rows of the duels that a fixed rule crowns."""
    return [d for d in draw(rng, mean, runs * size).reshape(runs, size) if rule(d)]


def against_the_plan(runs: int) -> None:
    """The design's numbers: margin .01, alpha .003, all rows up to 1984 against fresh ones."""
    terms = dataclasses.replace(PRODUCTION, margin=0.01)
    planned = {  # miss of the 90% bound on all rows, of the anytime one, of fresh rows; what all rows pay
        0.02: (0.88, 0.14, 0.10, None),
        0.03: (0.26, 0.02, 0.09, 0.028),
        0.05: (0.13, 0.02, 0.11, 0.043),
        0.12: (None, None, None, 0.113),
    }
    lines = []
    for mean, (everything, anytime, fresh, pays) in planned.items():
        rng, found = np.random.default_rng([3, int(mean * 100)]), []
        for _ in range(4 * runs if mean == 0.02 else runs):
            d = draw(rng, mean, 1984)
            end = crossing(d, terms, [0.003])[0]
            if end is None:
                continue
            lower, late = confidence_sequence(d, 0.2)[0], gain_bound(d)
            after = gain_bound(draw(rng, mean, PRODUCTION.gain))
            found.append((late > mean, lower > mean, after > mean, late, d[:end].mean(), d.mean()))
        if not found:
            continue
        values = np.array(found).mean(axis=0)
        names = ("90% bound on all 1984 rows", "anytime 90% bound", "90% bound on 2000 fresh rows")
        for name, plan, value in zip(names, (everything, anytime, fresh), values, strict=False):
            if plan is not None:
                tolerance = rate_tolerance(plan, DESIGN_RUNS, len(found))
                what = f"d = {mean}: {name} exceeds the truth"
                lines.append(Planned(what, plan, float(value), tolerance))
        if pays is not None:
            lines.append(Planned(f"d = {mean}: mean bound on all rows", pays, float(values[3]), 0.002))
        if mean == 0.02:
            lines.append(Planned("d = 0.02: mean d at the stop", 0.042, float(values[4]), 0.003))
            lines.append(Planned("d = 0.02: mean d at 1984 rows", 0.032, float(values[5]), 0.003))
    print_planned("Gains as planned (crossed within 1984 rows, margin .01, alpha .003)", lines)


def chains(runs: int) -> None:
    """What many small steps are credited in sum: less than the truth, and less than one step."""
    table, credit, over = [], {}, {}
    for steps, mean in ((20, 0.03), (8, 0.015), (4, 0.03), (2, 0.06), (1, 0.12)):
        rng, truth = np.random.default_rng([4, steps]), steps * mean
        sums = np.array([sum(one_step(rng, mean) for _ in range(steps)) for _ in range(runs)])
        credit[steps], over[steps] = float(sums.mean()), float((sums > truth).mean())
        table.append(
            [f"{steps} of +{mean}", f"{truth:.2f}", credit[steps], credit[steps] / truth, over[steps]]
        )
    print_table(
        f"Sums of gains over chains of true steps, {PRODUCTION.gain} fresh rows a step ({runs} chains)",
        ["steps", "truth", "mean sum credited", "of the truth", "sum exceeds the truth"],
        table,
    )
    print_planned(
        "Chains as planned",
        [
            Planned("20 steps of +.03: sum credited of .60", 0.45, credit[20], 0.01),
            Planned("20 steps of +.03: sum exceeds the truth", 0.0, over[20], 0.001),
            Planned("four steps instead of one: part lost", 0.20, 1 - credit[4] / credit[1], 0.02),
        ],
    )


def one_step(rng: Generator, mean: float) -> float:
    """What confirmation lets stand of one true step."""
    bound = gain_bound(draw(rng, mean, PRODUCTION.gain))
    return bound if bound > PRODUCTION.margin else 0.0


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1600)
    runs = parser.parse_args().runs
    coverage(runs)
    winners_curse(2 * runs)
    chains(runs // 2)
    against_the_plan(runs)


if __name__ == "__main__":
    main()
