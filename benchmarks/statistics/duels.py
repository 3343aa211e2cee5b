"""Prints who is crowned and what it costs: this rule beside rules that take a fixed number of prompts.

`python benchmarks/statistics/duels.py [--runs N]`; seeds are fixed. The fixed rules are of the kinds that
other subnets use (a flat lead of 3 points, a factor on the mean), and z-tests that err no more than this
rule.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmarks.sim.quick import Ending, Stream, decided, finish
from benchmarks.sim.simulation import (
    DEMO,
    PRODUCTION,
    SD,
    TIES,
    Floats,
    Generator,
    draw,
    print_table,
    yes,
)
from benchmarks.sim.tilting import confirmation_probability, crossing_probabilities
from shared.stats.duel import Terms
from shared.stats.eprocess import alpha_share

SLOTS = 10
TERMS = dataclasses.replace(PRODUCTION, alpha=alpha_share(0.05, 1, SLOTS, 100))
TOKENS = 40
"""Assumed mean length of one completion; both sides answer every prompt once."""


@dataclass(frozen=True)
class Challenger:
    """A kind of challenger: its true mean d, how often it answers alike, and its part of the mix."""

    name: str
    mean: float
    share: float
    """Of all submissions; an assumption."""
    ties: float = TIES
    identical: bool = False

    def rows(self, rng: Generator, count: int) -> Floats:
        """Values of d; rows that differ have the spread that they have elsewhere."""
        return draw(rng, self.mean, count, ties=self.ties, sd=SD * math.sqrt((1 - self.ties) / (1 - TIES)))

    def stream(self, rng: Generator) -> Stream:
        """The rows of one duel."""
        if self.identical:
            return Stream(np.zeros, identical=True)
        return Stream(lambda count: self.rows(rng, count))


CHALLENGERS = (
    Challenger("exact clone", 0.0, 0.25, identical=True),
    Challenger("near clone: 80% equal answers", 0.0, 0.20, ties=0.8),
    Challenger("noisy clone: as good, other answers", 0.0, 0.10),
    Challenger("slightly worse, -.01", -0.01, 0.10),
    Challenger("clearly worse, -.05", -0.05, 0.10),
    Challenger("broken, -.20", -0.20, 0.05),
    Challenger("+.02", 0.02, 0.04),
    Challenger("+.03", 0.03, 0.04),
    Challenger("+.05", 0.05, 0.04),
    Challenger("+.08", 0.08, 0.04),
    Challenger("+.12", 0.12, 0.04),
)
CLONES_AND_WORSE = CHALLENGERS[:6]
BETTER = CHALLENGERS[6:]

Rule = Callable[[Floats], bool]


def leads_by_points(d: Floats) -> bool:
    """A flat lead: a win rate above 53%, ties counted half."""
    return float((np.sign(d).mean() + 1) / 2) > 0.53


def mean_above(epsilon: float) -> Rule:
    """A mean score above (1 + epsilon) times the champion's, whose mean is .5."""
    return lambda d: float(d.mean()) > 0.5 * epsilon


def z_rule(alpha: float) -> Rule:
    """A one-sided z-test of mean d above the margin."""
    quantile = float(ndtri(1 - alpha))
    return lambda d: float(d.mean() - quantile * d.std(ddof=1) / math.sqrt(len(d))) > PRODUCTION.margin


FIXED: dict[str, tuple[int, Rule]] = {
    "win rate > 53%, n = 200": (200, leads_by_points),
    "win rate > 53%, n = 300": (300, leads_by_points),
    "mean > +.03, n = 250": (250, mean_above(0.06)),
    "mean > 1.03 x champion's, n = 512": (512, mean_above(0.03)),
    "mean > 1.005 x champion's, n = 1500": (1500, mean_above(0.005)),
}


def play_all(runs: int, terms: Terms = TERMS) -> dict[str, list[Ending]]:
    """The endings of `runs` duels of every kind of challenger."""
    endings = {}
    for index, kind in enumerate(CHALLENGERS):
        rng = np.random.default_rng([1, index])
        endings[kind.name] = [finish(terms, kind.stream(rng)) for _ in range(runs)]
    return endings


@dataclass(frozen=True)
class Equals:
    """Two z-tests with this rule's power: at its nominal alpha, and at the false crowns it really makes."""

    wrong: float
    """Measured probability that this rule crowns a challenger whose mean is the margin."""
    error: float
    """Standard error of `wrong`."""
    nominal: dict[str, int]
    measured: dict[str, int]

    @property
    def sizes(self) -> tuple[int, int]:
        """Prompts of the test of equal measured errors, and of the one at the nominal alpha."""
        return max(self.measured.values()), max(self.nominal.values())


def equals(endings: Mapping[str, Sequence[Ending]], runs: int) -> Equals:
    """The z-tests; a power of 0 or 1 is taken as half a duel more or less."""
    rng = np.random.default_rng(5)
    rates, errors = crossing_probabilities(TERMS, TERMS.margin, [TERMS.alpha], runs, rng)
    stands = confirmation_probability(TERMS, TERMS.margin, max(100, 4 * runs), rng)
    wrong = max(float(rates[0]) * stands, 1e-9)

    def sizes(alpha: float) -> dict[str, int]:
        found = {}
        for kind in BETTER:
            ends = endings[kind.name]
            power = min(max(crown_rate(ends), 0.5 / len(ends)), 1 - 0.5 / len(ends))
            quantiles = float(ndtri(1 - alpha) + ndtri(power))
            found[kind.name] = math.ceil((quantiles * SD / (kind.mean - TERMS.margin)) ** 2)
        return found

    return Equals(wrong, float(errors[0]) * stands, sizes(TERMS.alpha), sizes(wrong))


def crown_rate(endings: Sequence[Ending]) -> float:
    """Share of duels that ended in a crown."""
    return sum(end.crowned for end in endings) / len(endings)


def fixed_rate(kind: Challenger, size: int, rule: Rule, runs: int, seed: int) -> float:
    """Share of duels that a fixed rule crowns."""
    rng = np.random.default_rng([2, seed])
    rows = np.zeros((runs, size)) if kind.identical else kind.rows(rng, runs * size).reshape(runs, size)
    return float(np.mean([rule(d) for d in rows]))


def crown_probabilities(runs: int, endings: Mapping[str, Sequence[Ending]], equal: Equals) -> None:
    """Who is crowned by which rule."""
    measured, nominal = equal.sizes
    rules = {
        **FIXED,
        f"z-test of equal errors, n = {measured}": (measured, z_rule(equal.wrong)),
        f"z-test of the same alpha, n = {nominal}": (nominal, z_rule(TERMS.alpha)),
    }
    table = [
        [
            kind.name,
            crown_rate(endings[kind.name]),
            *(fixed_rate(kind, n, rule, runs, index) for n, rule in rules.values()),
        ]
        for index, kind in enumerate(CHALLENGERS)
    ]
    print_table(
        f"Probability of a crown, one duel (t = 1, {SLOTS} slots, margin {TERMS.margin}, {runs} runs)",
        ["challenger", "this rule", *rules],
        table,
    )


def sizes_needed(endings: Mapping[str, Sequence[Ending]], equal: Equals) -> None:
    """How the z-tests get their sizes."""
    table: list[list[object]] = [
        [kind.name, crown_rate(endings[kind.name]), equal.measured[kind.name], equal.nominal[kind.name]]
        for kind in BETTER
    ]
    table.append(["**size taken: the most**", "", *equal.sizes])
    print_table(
        f"Prompts of a z-test with this rule's power; false crowns at the margin: nominal {TERMS.alpha:.2g}, "
        f"measured {equal.wrong:.1e} +- {equal.error:.0e}",
        ["challenger", "crowned by this rule", "of equal measured errors", "of the same nominal alpha"],
        table,
    )


def tokens_of(prompts: float) -> float:
    """Generated tokens, thousands: both sides answer once."""
    return 2 * TOKENS * prompts / 1000


def token_cost(endings: Mapping[str, Sequence[Ending]], equal: Equals) -> None:
    """Prompts and generated tokens of a duel beside the z-tests."""
    table: list[list[object]] = []
    measured, nominal = equal.sizes

    def line(name: str, share: float, median: object, mean: float, target: int) -> None:
        aim = f"{target} times: {yes(measured / mean >= target)}" if target else ""
        table.append(
            [name, f"{share:.0%}", median, round(mean), f"{tokens_of(mean):.0f}", f"{measured / mean:.1f}",
             f"{nominal / mean:.1f}", aim]
        )  # fmt: skip

    mix = 0.0
    for kind in CHALLENGERS:
        used = [end.prompts for end in endings[kind.name]]
        mean = float(np.mean(used))
        mix += kind.share * mean
        line(kind.name, kind.share, round(float(np.median(used))), mean, 5 * (kind in CLONES_AND_WORSE))
    line("**the mix**", 1.0, "", mix, 2)
    print_table(
        f"Prompts and generated tokens of a duel ({TOKENS} tokens a completion, one a side)",
        ["challenger", "of the mix", "median prompts", "mean prompts", "thousand tokens",
         f"times fewer than {measured} (equal errors)", f"than {nominal} (same alpha)", "target"],
        table,
    )  # fmt: skip


def rounds_of_the_mix(endings: Mapping[str, Sequence[Ending]], equal: Equals) -> None:
    """Rounds in which all duels share the champion's answers, for 1 and 4 samples of the champion."""
    rng, rounds, size = np.random.default_rng(3), 400, equal.sizes[0]
    spent = np.zeros((rounds + TERMS.carried_rounds, 2))
    """By round: rows answered by challengers, and the longest duel's rows."""
    kinds = rng.choice(len(CHALLENGERS), (rounds, SLOTS), p=[kind.share for kind in CHALLENGERS])
    for number, chosen in enumerate(kinds):
        for kind in chosen:
            ends = endings[CHALLENGERS[kind].name]
            for later, rows in enumerate(rows_by_round(ends[int(rng.integers(len(ends)))])):
                spent[number + later] += [rows, 0]
                spent[number + later, 1] = max(spent[number + later, 1], rows)
    challengers, champion = spent.sum(axis=0) / rounds
    table = []
    for samples in (1, 4):
        ours, fixed = challengers + samples * champion, SLOTS * size + samples * size
        thousands = [f"{TOKENS * completions / 1000:.0f}" for completions in (ours, fixed)]
        table.append([samples, *thousands, f"{fixed / ours:.1f}", yes(fixed / ours >= 2)])
    print_table(
        f"A round of {SLOTS} duels of the mix that share the champion's answers, carried duels included",
        ["samples of the champion", "thousand tokens, this rule", f"z-test with {size} (equal errors)",
         "times fewer", "at least 2 times"],
        table,
    )  # fmt: skip


def rows_by_round(end: Ending) -> list[int]:
    """Rows that a duel takes in its first round and in each that it is carried into."""
    full, rest = divmod(end.test - 1, TERMS.max)
    return [TERMS.max] * full + [rest + 1 + end.fresh]


def same_answers(runs: int) -> None:
    """Both ways through the same rows: `decide`, and the quick path that the tables above used."""
    table = []
    for name, terms in (("demo", dataclasses.replace(DEMO, alpha=0.003)), ("production", TERMS)):
        same, reasons = 0, set()
        for index in range(runs):
            kind = CHALLENGERS[index % len(CHALLENGERS)]
            quick = finish(terms, kind.stream(np.random.default_rng([4, index])))
            slow = decided(terms, kind.stream(np.random.default_rng([4, index])))
            same += (quick.reason, quick.prompts) == (slow.reason, slow.prompts)
            reasons.add(slow.reason)
        table.append([name, runs, same, ", ".join(sorted(reasons))])
    print_table(
        "The quick path against `decide`, the same rows",
        ["terms", "duels", "same reason and prompts", "reasons seen"],
        table,
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    endings = play_all(runs)
    equal = equals(endings, runs)
    crown_probabilities(runs, endings, equal)
    sizes_needed(endings, equal)
    token_cost(endings, equal)
    rounds_of_the_mix(endings, equal)
    same_answers(min(runs, 3 * len(CHALLENGERS)))


if __name__ == "__main__":
    main()
