"""Draws the figures of docs/results/statistics.md from the same simulations that print its tables.

`python benchmarks/statistics/figures.py [--runs N] [--folder docs/figures]`; seeds are fixed and files
carry no date, so a second run writes the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.sim.quick import Ending, finish
from benchmarks.sim.reign import ALPHA, ATTACKS, reign
from benchmarks.sim.simulation import PRODUCTION
from benchmarks.sim.tilting import rare
from benchmarks.statistics.duels import FIXED, TERMS, Challenger, crown_rate, fixed_rate
from benchmarks.statistics.gains import crowned_by
from shared.types import Hotkey

EFFECTS = (-0.02, -0.01, 0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f")
"""This rule first; told apart by people who do not see all colours."""

SHOWN = ("win rate > 53%, n = 300", "mean > +.03, n = 250", "mean > 1.03 x champion's, n = 512")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write one figure without a date."""
    figure.tight_layout()
    figure.savefig(folder / name, metadata={"Date": None})


def blank(across: str, up: str) -> tuple[Figure, Axes]:
    """An empty figure with its axes named."""
    figure = Figure(figsize=(7.2, 3.6))
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    return figure, axes


def crowns(folder: Path, endings: Sequence[Sequence[Ending]], runs: int) -> None:
    """Probability of a crown by true d, for this rule and rules of fixed size."""
    figure, axes = blank("true mean d", "probability of a crown")
    axes.plot(EFFECTS, [crown_rate(ends) for ends in endings], color=COLOURS[0], lw=2.5, label="this rule")
    for colour, name in zip(COLOURS[1:], SHOWN, strict=False):
        size, rule = FIXED[name]
        rates = [
            fixed_rate(Challenger("", mean, 1.0), size, rule, 4 * runs, index)
            for index, mean in enumerate(EFFECTS)
        ]
        axes.plot(EFFECTS, rates, color=colour, ls="--", label=name)
    axes.axvline(PRODUCTION.margin, color="black", lw=0.8, label="margin")
    axes.legend(fontsize=8)
    save(figure, folder, "crowns.svg")


def prompts(folder: Path, endings: Sequence[Sequence[Ending]]) -> None:
    """Prompts of a duel by true d, test and confirmation apart."""
    figure, axes = blank("true mean d", "mean prompts of a duel")
    test = np.array([np.mean([end.test for end in ends]) for ends in endings])
    fresh = np.array([np.mean([end.fresh for end in ends]) for ends in endings])
    axes.fill_between(EFFECTS, 0, test, color=COLOURS[0], alpha=0.7, lw=0, label="test")
    axes.fill_between(EFFECTS, test, test + fresh, color=COLOURS[2], alpha=0.7, lw=0, label="confirmation")
    axes.axvline(PRODUCTION.margin, color="black", lw=0.8, label="margin")
    axes.legend(fontsize=8)
    save(figure, folder, "prompts.svg")


def gains(folder: Path, endings: Sequence[Sequence[Ending]], runs: int) -> None:
    """What the crowned are credited beyond the truth."""
    figure, axes = blank("true mean d", "credited to the crowned, minus the truth")
    enough = [
        (mean, won)
        for mean, ends in zip(EFFECTS, endings, strict=True)
        if len(won := [end for end in ends if end.crowned]) >= 10
    ]
    effects = [mean for mean, _ in enough]
    bounds = [np.mean([end.bound or 0.0 for end in won]) - mean for mean, won in enough]
    stops = [np.mean([end.mean for end in won]) - mean for mean, won in enough]
    axes.plot(effects, bounds, color=COLOURS[0], lw=2.5, label="gain bound, fresh rows (paid)")
    axes.plot(effects, stops, color=COLOURS[1], label="mean at the stop")
    for colour, name in zip(COLOURS[2:], SHOWN[1:], strict=False):
        size, rule = FIXED[name]
        rng, points = np.random.default_rng(3), []
        for mean in EFFECTS:
            rows = crowned_by(rule, size, mean, 8 * runs, rng)
            points.append(np.mean([d.mean() for d in rows]) - mean if len(rows) >= 10 else np.nan)
        axes.plot(EFFECTS, points, color=colour, ls="--", label=f"{name}: its own mean")
    axes.axhline(0.0, color="black", lw=0.8)
    axes.legend(fontsize=8)
    save(figure, folder, "gains.svg")


def wrong_crowns(folder: Path, held: Sequence[Ending], runs: int) -> None:
    """Wrong crowns as a reign grows old under ten hotkeys of policies worth the margin."""
    figure, axes = blank("rounds of the reign", "probability of a wrong crown so far")
    rng, odds = np.random.default_rng(4), rare(PRODUCTION, 2 * runs, 0)

    def end(_: float, __: Hotkey) -> Ending:
        return held[int(rng.integers(len(held)))]

    trials = reign(ATTACKS[1], 100, 16, ALPHA, rng=rng, end=end, terms=PRODUCTION)
    rounds = [trial.round + 1 for trial in trials]
    ours = np.cumsum([odds.crossing(trial.alpha) * odds.stands for trial in trials])
    axes.step(rounds, ours, where="post", color=COLOURS[0], lw=2.5, label="this rule (expected)")
    for colour, name in zip(COLOURS[1:], SHOWN, strict=False):
        size, rule = FIXED[name]
        rate = fixed_rate(Challenger("", PRODUCTION.margin, 1.0), size, rule, 8 * runs, 0)
        fallen = 1 - (1 - rate) ** np.arange(1, len(trials) + 1)
        axes.step(rounds, fallen, where="post", color=colour, ls="--", label=name)
    axes.axhline(ALPHA, color="black", lw=0.8, label=f"guarantee, {ALPHA}")
    axes.set_yscale("log")
    axes.legend(fontsize=8)
    save(figure, folder, "wrong-crowns.svg")


def main() -> None:
    """Draw every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=250)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parents[2] / "docs" / "figures")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "agon", "svg.fonttype": "none", "font.size": 9})
    endings = []
    for index, mean in enumerate(EFFECTS):
        rng, kind = np.random.default_rng([1, index]), Challenger("", mean, 1.0)
        endings.append([finish(TERMS, kind.stream(rng)) for _ in range(given.runs)])
    crowns(given.folder, endings, given.runs)
    prompts(given.folder, endings)
    gains(given.folder, endings, given.runs)
    held = [end for end in endings[EFFECTS.index(PRODUCTION.margin)] if not end.crowned]
    wrong_crowns(given.folder, held, given.runs)


if __name__ == "__main__":
    main()
