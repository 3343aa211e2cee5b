"""Over-optimises against the proxy on purpose, and prints what the held-out judge and Agon make of it.

`python benchmarks/models/overoptimisation.py [--tiny] [--json FILE] [--figure FILE]`: best-of-n on the
base's own completions, then DPO on the proxy's opinion alone; the forms of Gao et al. are fitted to both.
With `--from FILE` it prints a stored run again. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.models.overoptimisation_figure import Panel, draw_figure
from benchmarks.sim.arena import RULES, Arena, open_arena
from benchmarks.sim.gao import Curve, Form, fit
from benchmarks.sim.optimised import (
    Measurer,
    Point,
    best_of_points,
    distances,
    policy_point,
    restore,
    store,
)
from benchmarks.sim.proxy_training import ProxyMiner, Recipe
from benchmarks.sim.simulation import Floats, print_table
from shared.checkpoints.bundle import read_prompts
from shared.duels.scorer import JUDGED
from shared.protocol.loader import read_rules

RESAMPLES = 1000


RECIPE = Recipe(prompts=160, samples=8, pairs=8, learning_rate=2e-4)


@dataclass(frozen=True)
class Effort:
    """How much is drawn and trained."""

    prompts: int = 32
    best_of: int = 32
    recipe: Recipe = RECIPE
    checkpoints: tuple[int, ...] = (4, 8, 12, 16, 24, 32, 48, 64)
    """Steps after which the policy is measured."""
    samples: int = 2


TINY = Effort(
    prompts=64,
    best_of=64,
    recipe=Recipe(prompts=128, samples=8, pairs=16, learning_rate=5e-4),
    checkpoints=(1, 2, 4, 8, 12, 16, 24, 32, 48, 64),
    samples=4,
)


def run(
    arena: Arena, effort: Effort, keep: Callable[[dict[str, list[Point]]], None]
) -> dict[str, list[Point]]:
    """Both ways of optimising, measured on the judged slice's held-out prompts.

    `keep` is called with what there is after every checkpoint: a run takes minutes.
    """
    rules = arena.bundle.rules
    part = next(part for part in rules.slices if part.kind == JUDGED)
    torch.set_num_threads(rules.sampling.engine.threads)
    measurer = Measurer(arena, arena.bundle.pools[part.name][: effort.prompts])
    base = measurer.answers(measurer.base, effort.best_of)
    runs = {"best-of-n": best_of_points(base), "rl": [policy_point("0", base, base)]}
    public = [p for p in read_prompts(arena.bundle.public / "prompts.jsonl") if p.slice == part.name]
    miner = ProxyMiner(arena.bundle.base, measurer.proxy, rules.sampling, public, effort.recipe)
    for step in range(1, effort.checkpoints[-1] + 1):
        print(f"step {step}: loss {miner.step():.3f}", file=sys.stderr, flush=True)
        if step in effort.checkpoints:
            runs["rl"].append(policy_point(str(step), base, measurer.answers(miner.policy, effort.samples)))
            keep(runs)
    return runs


def show_points(form: Form, points: Sequence[Point], kl_budget: float) -> None:
    """One line a point, with what Agon's gates, budget and alarm say."""
    rows = []
    for point in points:
        kl, gap = float(point.kl.mean()), point.gap
        closed = ", ".join(f"{name} {share:.2f}" for name, share in point.gates.items())
        rows.append([
            point.label, f"{kl:.2f}", _with_error(point.proxy), _with_error(point.held_out),
            _with_error(point.d), f"{point.tokens:.1f}", closed,
            "over" if kl > kl_budget else "", f"{gap.lower:+.2f}", "rings" if gap.alarm else "",
        ])  # fmt: skip
    name = {"best-of-n": "Best of n by the proxy", "rl": "DPO on the proxy alone"}[form]
    print_table(
        f"{name} ({len(points[0].proxy)} prompts; rises in sd of the base's rewards; +- 1 standard error)",
        ["n" if form == "best-of-n" else "step", "KL, nats", "proxy", "held-out", "d", "tokens",
         "gates closed", f"KL budget {kl_budget:g}", "gap, lower bound", "alarm"],
        rows,
    )  # fmt: skip


def _with_error(values: Floats) -> str:
    return f"{values.mean():+.3f} +- {values.std(ddof=1) / math.sqrt(len(values)):.3f}"


def curves(form: Form, points: Sequence[Point]) -> dict[str, Curve]:
    """The form fitted to both judges' rises."""
    d = distances(points)
    return {
        "proxy": fit(form, d, np.array([point.proxy.mean() for point in points])),
        "held-out": fit(form, d, np.array([point.held_out.mean() for point in points])),
    }


def show_fits(runs: dict[str, list[Point]]) -> None:
    """alpha, beta and the peak of every curve, with bootstrap intervals over prompts."""
    rows = []
    for form, points in _forms(runs):
        found, tries = curves(form, points), _resampled(form, points)
        for judge, curve in found.items():
            cells = [
                f"{value:.3f} [{low:.3f}, {high:.3f}]"
                for value, low, high in (
                    (
                        getattr(curve, name),
                        *np.quantile([getattr(t[judge], name) for t in tries], [0.025, 0.975]),
                    )
                    for name in ("alpha", "beta")
                )
            ]
            farthest = float(distances(points).max())
            peaks = [t[judge].peak < farthest for t in tries]
            rows.append([form, judge, *cells, f"{curve.peak:.2f}", f"{farthest:.2f}", float(np.mean(peaks))])
    print_table(
        "Fits: rise = d (alpha - beta d) for best-of-n, d (alpha - beta log d) for RL, d = sqrt(KL)",
        [
            "way",
            "judge",
            "alpha",
            "beta",
            "peak at d",
            "farthest d seen",
            "share of resamples with a peak before",
        ],
        rows,
    )


def _forms(runs: dict[str, list[Point]]) -> list[tuple[Form, list[Point]]]:
    return [("best-of-n", runs["best-of-n"]), ("rl", runs["rl"])]


def _resampled(form: Form, points: Sequence[Point]) -> list[dict[str, Curve]]:
    rng = np.random.default_rng(0)
    count = len(points[0].proxy)
    tries = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(count, size=count)
        again = [
            Point(p.label, p.kl[chosen], p.proxy[chosen], p.held_out[chosen], p.d[chosen], {}, p.tokens)
            for p in points
        ]
        tries.append(curves(form, again))
    return tries


def show(runs: dict[str, list[Point]], kl_budget: float, figure: Path | None) -> None:
    """Print every table, and draw the figure where asked."""
    for form, points in _forms(runs):
        show_points(form, points, kl_budget)
    show_fits(runs)
    if figure is not None:
        panels = [panel(form, points) for form, points in _forms(runs)]
        draw_figure(panels, kl_budget, figure)


def panel(form: Form, points: Sequence[Point]) -> Panel:
    """What the figure shows of one way."""
    rises = {
        "proxy": np.array([point.proxy.mean() for point in points]),
        "held-out": np.array([point.held_out.mean() for point in points]),
    }
    return form, distances(points), rises, curves(form, points), [point.gap.alarm for point in points]


def main() -> None:
    """Print every table; store the run and draw the figure where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="two-layer models")
    parser.add_argument("--prompts", type=int, help="that policies are measured on")
    parser.add_argument("--best-of", type=int, help="completions of the base to each of them")
    parser.add_argument("--json", type=Path, help="store the run here")
    parser.add_argument("--from", dest="stored", type=Path, help="print a stored run")
    parser.add_argument("--figure", type=Path, help="draw the curves to this SVG file")
    asked = parser.parse_args()
    sizes = {name: given for name in ("prompts", "best_of") if (given := getattr(asked, name))}
    effort = replace(TINY if asked.tiny else Effort(), **sizes)

    def keep(found: dict[str, list[Point]]) -> None:
        if asked.json:
            store(found, asked.json)

    runs = restore(asked.stored) if asked.stored else run(open_arena(tiny=asked.tiny), effort, keep)
    show(runs, read_rules(RULES)["judging"]["kl_budget"], asked.figure)


if __name__ == "__main__":
    main()
