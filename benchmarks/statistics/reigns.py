"""Prints what happens to a champion in a whole reign under attack: queue, alpha schedule, duels, carrying.

`python benchmarks/statistics/reigns.py [--runs N]`; seeds are fixed. Slots, cooldowns, shares of alpha and
e-processes are those of `shared.stats`. Every attacker's policy is worth exactly the margin, the most that
a wrong crown can be worth; crowns too rare to count are estimated by importance sampling, which a count
confirms.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable

import numpy as np

from benchmarks.sim.crowd import crowd
from benchmarks.sim.quick import Ending, Stream, decided, finish
from benchmarks.sim.reign import ALPHA, ATTACKS, Trial, reign
from benchmarks.sim.riding import riding
from benchmarks.sim.simulation import (
    DEMO,
    PRODUCTION,
    Generator,
    Planned,
    draw,
    print_planned,
    print_table,
    wilson,
    yes,
)
from benchmarks.sim.tilting import crossing_probabilities, rare
from benchmarks.statistics.duels import FIXED, tokens_of, z_rule
from shared.stats.duel import Terms
from shared.types import Hotkey


def expected_crowns(runs: int) -> None:
    """Expected wrong crowns of 100 production rounds of 16 slots, beside fixed rules on the same slots."""
    odds, rng = rare(PRODUCTION, runs, 0), np.random.default_rng(2)
    pool = [
        finish(PRODUCTION, Stream(lambda count: draw(rng, PRODUCTION.margin, count)))
        for _ in range(max(20, runs // 4))
    ]
    held = [ending for ending in pool if not ending.crowned]
    fixed = {
        "win rate > 53%, n = 300": FIXED["win rate > 53%, n = 300"],
        "mean > +.03, n = 250": FIXED["mean > +.03, n = 250"],
        "z-test at 5%, n = 1000": (1000, z_rule(ALPHA)),
    }
    wrong = {
        name: np.mean([rule(draw(rng, PRODUCTION.margin, size)) for _ in range(4 * runs)])
        for name, (size, rule) in fixed.items()
    }
    table = []

    def end(_: float, __: Hotkey) -> Ending:
        return held[int(rng.integers(len(held)))]

    for attack in ATTACKS:
        trials = reign(attack, 100, 16, ALPHA, rng=rng, end=end, terms=PRODUCTION)
        spent = sum(trial.alpha for trial in trials)
        shown = [trial for trial in trials if trial.ending]
        # whoever knows the draw publishes exactly what would win, so every slot counts as shown
        crossings = sum(odds.crossing(trial.alpha) for trial in trials)
        prompts = sum(trial.ending.prompts for trial in shown if trial.ending)
        others = [f"{1 - (1 - rate) ** len(shown):.2f}" for rate in wrong.values()]
        table.append(
            [attack.name, len(trials), len(shown), round(prompts / len(shown)),
             f"{tokens_of(prompts) / 1000:.1f}", spent, f"{crossings:.1e}",
             f"{crossings * odds.stands:.1e}", yes(max(spent, crossings * odds.stands) <= ALPHA), *others]
        )  # fmt: skip
    print_table(
        f"One reign of 100 rounds, 16 slots, alpha {ALPHA}, policies worth the margin (production terms)",
        ["attack", "slots taken", "published", "mean prompts",
         "million tokens", "alpha spent", "expected wrong crossings",
         "expected wrong crowns", "within the guarantee", *(f"P(wrong crown): {name}" for name in fixed)],
        table,
    )  # fmt: skip


def counted_crowns(runs: int) -> None:
    """Whole reigns played out and counted; a budget ten times as large makes the sampling checkable."""
    odds, table = rare(DEMO, 10 * runs, 1), []
    for budget in (ALPHA, 10 * ALPHA):
        for attack in ATTACKS[2:4]:
            rng, expected, crossed, fell = np.random.default_rng([3, attack.hotkeys]), 0.0, 0, 0

            def end(alpha: float, _: Hotkey, rng: Generator = rng) -> Ending:
                terms = dataclasses.replace(DEMO, alpha=alpha)
                return finish(terms, Stream(lambda count: draw(rng, DEMO.margin, count)))

            for _ in range(runs):
                trials = reign(attack, 100, 4, budget, rng=rng, end=end, terms=DEMO)
                shown = [trial for trial in trials if trial.ending]
                expected += sum(odds.crossing(trial.alpha) for trial in shown)
                crossed += sum(trial.ending.bound is not None for trial in shown if trial.ending)
                fell += any(trial.ending.crowned for trial in shown if trial.ending)
            upper = wilson(fell, runs)[1]
            table.append(
                [budget, attack.name, runs, crossed, f"{expected:.1f}",
                 yes(abs(crossed - expected) <= 1 + 3 * math.sqrt(expected)), fell, fell / runs, upper,
                 yes(fell / runs <= budget)]
            )  # fmt: skip
    print_table(
        "Whole reigns played out: 100 rounds, 4 slots (demo terms), policies worth the margin",
        ["alpha", "attack", "reigns", "crossings counted", "expected by sampling", "within 3 errors",
         "reigns ended by a wrong crown", "share", "upper 99%", "at most alpha"],
        table,
    )  # fmt: skip


def through_decide(rounds: int) -> None:
    """One reign twice on the same rows: through `decide`, and on the quick path."""
    ends: dict[str, list[Trial]] = {}
    for name, way in (("decide", decided), ("quick", finish)):
        rng, rows = np.random.default_rng(4), np.random.default_rng(5)

        def end(
            alpha: float, _: Hotkey, way: Callable[[Terms, Stream], Ending] = way, rows: Generator = rows
        ) -> Ending:
            own = np.random.default_rng(rows.integers(2**32))
            stream = Stream(lambda count: draw(own, 0.03, count))
            return way(dataclasses.replace(DEMO, alpha=alpha), stream)

        ends[name] = reign(ATTACKS[3], rounds, 4, 10 * ALPHA, rng=rng, end=end, terms=DEMO)
    pairs = list(zip(ends["decide"], ends["quick"], strict=True))
    same = sum(_same(one, other) for one, other in pairs)
    last = ends["decide"][-1].ending
    print_table(
        "The same reign through `decide` and on the quick path (demo terms, true d .03)",
        ["slots", "the same", "how its last duel ended"],
        [[len(pairs), same, "withheld" if last is None else last.reason]],
    )


def _same(one: Trial, other: Trial) -> bool:
    if one.ending is None or other.ending is None:
        return one == other
    return (one.round, one.ending.reason, one.ending.prompts) == (
        other.round,
        other.ending.reason,
        other.ending.prompts,
    )


def free_search(runs: int) -> None:
    """What withholding would buy if only published submissions were counted: 20,000 tries as planned."""
    lines, table = [], []
    for index, (margin, events) in enumerate(((0.02, 1), (0.01, 3), (0.005, 28))):
        terms = dataclasses.replace(
            PRODUCTION, margin=margin, max=1984, carried_rounds=0, planning_effect=margin + 0.025
        )
        rng = np.random.default_rng([6, index])
        alphas = [0.03, 0.03 / 100]
        rates, _ = crossing_probabilities(terms, 0.0, alphas, 4 * runs, rng)
        tolerance = 3 * math.sqrt(events) + 1
        lines.append(
            Planned(f"margin {margin}: crossings in 20,000", events, 20000 * float(rates[0]), tolerance)
        )
        alone, shared = (1 - (1 - float(rate)) ** 5000 for rate in rates)
        table.append([margin, alone, f"{shared:.1e}"])
    print_planned("Noisy copies, each judged alone at alpha .03 within 1984 prompts", lines)
    print_table(
        "100 hotkeys commit for 50 rounds and publish what would win: P(some copy crosses)",
        ["margin", "if only the published counted", "with every slot counted"],
        table,
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=600)
    runs = parser.parse_args().runs
    expected_crowns(runs)
    counted_crowns(max(2, runs // 20))
    free_search(runs)
    riding(runs)
    crowd(runs)
    through_decide(max(3, min(40, runs // 20)))


if __name__ == "__main__":
    main()
