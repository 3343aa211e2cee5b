"""Prints what strategies earn beside honest submission of the same true progress.

`python benchmarks/incentives/incentives.py [--runs N]`; seeds are fixed: a strategy and its honest twin
meet the same prompts and the same rival. Pay is in round-emissions over ten half-lives and not discounted,
which favours waiting. The last tables are pay by itself, judges that rotate, and a validator that lies.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import t as student

from benchmarks.incentives.yuma import print_weak_validators
from benchmarks.sim.game import Game
from benchmarks.sim.simulation import print_table
from benchmarks.sim.strategies import (
    CopyUnproven,
    Nested,
    Pack,
    RebaseTiming,
    Ring,
    SelfDethrone,
    Snipe,
    Steps,
    every,
)
from benchmarks.sim.world import Cap, Strategy, World
from shared.stats.payout import lifetime_pay

WORLD = World()
ME, RIVAL = "me", "rival"
Make = Callable[[], Strategy]
NONE, ONE, BOTH = (False,), (True,), (False, True)


@dataclass(frozen=True)
class Case:
    """A strategy and the honest way to bring the same true progress; none where there is no progress."""

    name: str
    strategy: Make
    honest: Make | None
    world: World = WORLD
    rivals: tuple[bool, ...] = BOTH
    stream: tuple[float, int] = (0.04, 10)
    """The rival's true steps, and the rounds between them."""


def steps(*plan: tuple[int, float]) -> Make:
    """Makes a miner that brings these steps."""
    return lambda: Steps(ME, plan)


AT_ONCE, LARGE, SMALL = steps((0, 0.12)), steps((0, 0.30)), steps((0, 0.05))
FOUND = every(20, 0.03, 0, 4)
HIGH = replace(WORLD, start=float(ndtri(0.73)) / math.sqrt(2 * math.pi))
CAPS: tuple[Cap, ...] = ("none", "live", "possible", "proven")
AT_HIGH = RING_ONCE = steps((0, 0.08))

CASES = (
    Case(".12 in four drips, every 10 rounds", lambda: Steps(ME, every(10, 0.03, 0, 4)), AT_ONCE),
    Case(".12 in two drips, a half-life apart", lambda: Steps(ME, every(27, 0.06, 0, 2)), AT_ONCE),
    Case(".30 in four drips, every 20 rounds", lambda: Steps(ME, every(20, 0.075, 0, 4)), LARGE),
    Case(".12 hoarded for 30 rounds", steps((30, 0.12)), AT_ONCE),
    Case(".12 hoarded until the rival has gone", steps((80, 0.12)), AT_ONCE, rivals=ONE),
    Case("snipe: four steps of .03, each right after another's crown",
         lambda: Snipe(ME, FOUND), lambda: Steps(ME, FOUND), rivals=ONE),
    Case("self-dethrone: .12, then copies of it by 3 hotkeys", lambda: SelfDethrone(ME, 0.12), AT_ONCE),
    Case("re-base timing: .03 to trigger it, then .05",
         lambda: RebaseTiming(ME, [(0, 0.03), (0, 0.05)]), AT_HIGH, HIGH, NONE),
    Case("re-base timing: .08 once the rival has triggered it",
         lambda: RebaseTiming(ME, [(0, 0.0), (0, 0.08)]), AT_HIGH, HIGH, ONE),
    Case("sybil split: .12 nested over 4 hotkeys", lambda: Nested(ME, 0.12, 4), AT_ONCE),
    Case("sybil repeat: the same .12 under 4 hotkeys", lambda: Pack(ME, 0.12, 4), AT_ONCE),
    Case("commit 8, publish one picked blindly", lambda: Pack(ME, 0.05, 1, decoys=7), SMALL),
    Case("commit 8, publish the best (prompts and judges leaked)",
         lambda: Pack(ME, 0.05, 8, secret=True), SMALL),
    Case("the same with 16 copies of the champion", lambda: Pack(ME, 0.0, 16, secret=True), None),
    *(Case(f"copy what is published and unproven, 3 hotkeys; originals of {size}",
           lambda: CopyUnproven(ME, 3), None, rivals=ONE, stream=(size, 20)) for size in (0.018, 0.03, 0.05)),
)  # fmt: skip


def rival_of(case: Case, seed: int) -> Strategy:
    """An honest stream of equal true steps from a random round on."""
    size, period = case.stream
    return Steps(RIVAL, every(period, size, seed % 10, case.world.active // period))


def pay_of(make: Make | None, case: Case, rival: bool, seed: int) -> dict[str, float]:
    """One game."""
    strategies = [make()] if make else []
    pay = Game(case.world, [*strategies, *([rival_of(case, seed)] if rival else [])], seed).play()
    return {ME: pay.get(ME, 0.0), RIVAL: pay.get(RIVAL, 0.0)}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95% Student interval."""
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), float(student.ppf(0.975, len(values) - 1)) * spread


def verdict(differences: Sequence[float]) -> str:
    """What the paired differences to honest say beyond noise: at three standard errors, for 25 lines."""
    mean, error = (
        float(np.mean(differences)),
        float(np.std(differences, ddof=1)) / math.sqrt(len(differences)),
    )
    if abs(mean) <= max(3.0 * error, 1e-9):
        return "no more"
    return "MORE" if mean > 0.0 else "less"


def compare(case: Case, rival: bool, runs: int) -> list[object]:
    """One line: pay, honest pay, their paired difference, and what the rival lost by it."""
    tried = [pay_of(case.strategy, case, rival, seed) for seed in range(runs)]
    plain = [pay_of(case.honest, case, rival, seed) for seed in range(runs)]
    mine, half = interval([pay[ME] for pay in tried])
    honest = float(np.mean([pay[ME] for pay in plain]))
    differences = [a[ME] - b[ME] for a, b in zip(tried, plain, strict=True)]
    difference, noise = interval(differences)
    theirs, before = (float(np.mean([pay[RIVAL] for pay in pays])) for pays in (tried, plain))
    return [
        case.name,
        "one" if rival else "none",
        f"{mine:.2f} +- {half:.2f}",
        f"{honest:.2f}",
        f"{difference:+.2f} +- {noise:.2f}",
        f"{mine / honest:.3f}" if honest else "-",
        f"{theirs / before:.3f}" if before else "-",
        verdict(differences),
    ]


def strategies(runs: int) -> None:
    """Every case without and with a rival."""
    header = ["strategy", "rival", "pay", "honest", "paired difference", "ratio", "rival's ratio", "pays"]
    table = [compare(case, rival, runs) for case in CASES for rival in case.rivals]
    print_table(f"Strategies: round-emissions over ten half-lives, 95% intervals, {runs} runs", header, table)


def plain_wear(runs: int) -> None:
    """The same large step where age alone wears a gain off: what the rule of wear is for."""
    table = []
    for name, ages_only in (("a gain wears off as it is paid", False), ("by age alone", True)):
        case = replace(CASES[2], world=replace(WORLD, ages_only=ages_only))
        for rival in case.rivals:
            line = compare(case, rival, runs)
            table.append([name, line[1], line[3], line[2], line[5], line[7]])
    header = ["rule", "rival", "at once", "in four drips", "ratio", "drips pay"]
    print_table("A true .30, by the rule that wears gains off", header, table)


def rings(runs: int) -> None:
    """Two policies of true .05, one .03 better and one .03 worse under every other judge set."""
    table = []
    lasting = replace(WORLD, set_rounds=WORLD.rounds)
    for name, world in (
        ("judges never rotate, as built", lasting),
        ("every 4 rounds, no cap", WORLD),
        ("live gains scaled down to the possible rise", replace(WORLD, cap="live")),
        ("a gain at most the possible rise less all earlier gains", replace(WORLD, cap="possible")),
        ("a gain at most the proven rise less all earlier gains", replace(WORLD, cap="proven")),
    ):
        case = Case(name, lambda: Ring(ME, 0.05, 0.03), RING_ONCE, world, (False,))
        line = compare(case, False, runs)
        table.append([name, line[2], line[3], line[5], line[7]])
    header = ["judges", "pay of the ring", "one of the two, once", "ratio", "pays"]
    print_table(f"A ring across judge rotations, {WORLD.active} rounds of play", header, table)


def honest_under_cap(runs: int) -> None:
    """Whether a cap costs honest chains anything: four true steps of .05, every 20 rounds."""
    table = []
    for cap in CAPS:
        case = Case(cap, lambda: Steps(ME, every(20, 0.05, 0, 4)), None, replace(WORLD, cap=cap))
        table.append([cap, *(f"{mean:.2f} +- {half:.2f}" for mean, half in [
            interval([pay_of(case.strategy, case, rival, seed)[ME] for seed in range(runs)])
            for rival in (False, True)])])  # fmt: skip
    print_table("Honest pay under the caps", ["cap", "alone", "one rival"], table)


def levels(runs: int) -> None:
    """The same true step where the champion stands higher and nothing re-bases."""
    table = []
    for level in (0.5, 0.65, 0.75, 0.85, 0.9, 0.95):
        start = float(ndtri(level)) / math.sqrt(2 * math.pi)
        case = Case("", steps((0, 0.08)), None, replace(WORLD, start=start, rebase_at=1.0))
        pays = [pay_of(case.strategy, case, False, seed)[ME] for seed in range(runs)]
        mean, half = interval(pays)
        table.append([f"{level:.2f}", sum(pay > 0 for pay in pays) / runs, f"{mean:.2f} +- {half:.2f}"])
    print_table("A true .08 without re-base", ["champion's mean", "crowned", "pay"], table)


def tiny(runs: int) -> None:
    """A lone true step of .0135 in 84 rounds of trying, and what least records earn by formula."""
    case = Case("", steps((0, 0.0135)), None)
    pays = [pay_of(case.strategy, case, False, seed)[ME] for seed in range(2 * runs)]
    mean, half = interval(pays)
    margin = WORLD.terms.margin
    table: list[list[object]] = [
        [f"true .0135, retried for {WORLD.active} rounds, crowned in {np.mean(np.array(pays) > 0):.2f}",
         f"{mean:.2f} +- {half:.2f}"],
        *([f"the least gain, {margin}, half-life {rounds}", lifetime_pay(margin, WORLD.full_gain, rounds)]
          for rounds in (28, 27, 14)),
    ]  # fmt: skip
    print_table("A lone tiny record", ["record", "round-emissions"], table)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24)
    runs = max(2, parser.parse_args().runs)
    strategies(runs)
    plain_wear(runs)
    rings(runs)
    honest_under_cap(runs)
    levels(runs)
    tiny(runs)
    print_weak_validators()


if __name__ == "__main__":
    main()
