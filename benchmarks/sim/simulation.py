"""Simulated duels: rows drawn from stated models, decided by the real code of `shared.stats`.

The benchmarks and nothing else use it. The models are assumptions (22% ties and sd 0.26 were measured on
small policies with J = 1); they are stated here so that every printed number can be traced to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.protocol.verdict import Verdict
from shared.stats.duel import Carry, Terms, decide
from shared.stats.eprocess import log_wealth_path
from shared.stats.rows import Batch, Plan, Row, batch_means, mean_and_error
from shared.types import SliceName

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator

TIES = 0.22
"""Share of prompts on which both sides score exactly alike."""

SD = 0.26
"""Standard deviation of d, ties included."""

PLAN: Plan = ((SliceName("chat"), 4), (SliceName("rules"), 2), (SliceName("sums"), 2))

PRODUCTION = Terms(
    margin=0.005,
    alpha=0.05,
    beta=0.05,
    planning_effect=0.03,
    look=64,
    min=128,
    max=4032,
    carried_rounds=3,
    gain=2000,
    identity=32,
    slice_tolerance=0.05,
    kl_budget=20.0,
    plan=PLAN,
)

DEMO = Terms(
    margin=0.01,
    alpha=0.05,
    beta=0.05,
    planning_effect=0.05,
    look=16,
    min=64,
    max=256,
    carried_rounds=2,
    gain=128,
    identity=32,
    slice_tolerance=0.15,
    kl_budget=20.0,
    plan=PLAN,
)


def draw(rng: Generator, mean: float, count: int, *, ties: float = TIES, sd: float = SD) -> Floats:
    """`count` differences: ties at 0, the rest a normal clipped to [-1, 1], with the given overall mean."""
    keep = 1.0 - ties
    spread = math.sqrt(max(sd**2 - mean**2 * (1 / keep - 1), 0.0) / keep)
    moved = np.clip(rng.normal(mean / keep, spread, count), -1.0, 1.0)
    return np.asarray(np.where(rng.random(count) < ties, 0.0, moved))


def draw_wide(rng: Generator, mean: float, count: int, *, ties: float, sd: float) -> Floats:
    """`count` differences: ties at 0, the rest a Beta stretched over [-1, 1]; mean and sd are exact.

    For noise so large that clipping a normal would shrink it.
    """
    keep = 1.0 - ties
    middle = mean / keep
    variance = (sd**2 + mean**2) / keep - middle**2
    weight = (1.0 - middle**2) / variance - 1.0
    moved = 2.0 * rng.beta((1.0 + middle) / 2.0 * weight, (1.0 - middle) / 2.0 * weight, count) - 1.0
    return np.asarray(np.where(rng.random(count) < ties, 0.0, moved))


def draw_skewed(rng: Generator, mean: float, count: int) -> Floats:
    """Rare large losses against frequent small wins: three values, sd about 0.26."""
    values = rng.choice([-0.9, 0.06, 0.3], count, p=[0.06, 0.78, 0.16])
    return np.asarray(np.clip(values - (-0.9 * 0.06 + 0.06 * 0.78 + 0.3 * 0.16) + mean, -1.0, 1.0))


def draw_slices(rng: Generator, mean: float, count: int, gap: float = 0.3) -> Floats:
    """Rows in batch order of two slices whose means are `mean` +- `gap`."""
    room = 1.0 - gap - abs(mean)
    apart = np.resize([gap, -gap], count)
    return np.asarray(np.clip(draw(rng, 0.0, count), -room, room) + apart + mean)


def draw_clusters(
    rng: Generator,
    mean: float,
    count: int,
    templates: int,
    *,
    effect: float = 0.06,
    size: int = 8,
    beyond: bool = False,
) -> Floats:
    """Prompts from templates that share an effect; a batch of `size` has no template twice if it can.

    The mean is that of this pool, or, with `beyond`, of all templates that could have been written.
    """
    offsets = rng.normal(0.0, effect, templates)
    if not beyond:
        offsets -= offsets.mean()
    picks = [rng.permutation(templates)[:size] for _ in range(math.ceil(count / min(size, templates)))]
    return np.asarray(np.clip(draw(rng, mean, count) + offsets[np.concatenate(picks)[:count]], -1.0, 1.0))


def draw_pool(rng: Generator, mean: float, count: int, pool: int) -> Floats:
    """Rows drawn without replacement from a pool whose own mean is exactly `mean`."""
    values = draw(rng, mean, pool)
    values += mean - values.mean()
    return np.asarray(np.clip(rng.permutation(values)[:count], -1.0, 1.0))


def first_look(path: Floats, looks: Sequence[int], threshold: float, minimum: int) -> int | None:
    """Prompts at the first look at or after `minimum` at which a log wealth reaches the threshold."""
    hits = np.flatnonzero((path >= threshold) & (np.asarray(looks) >= minimum))
    return int(looks[hits[0]]) if hits.size else None


def crossing(d: Floats, terms: Terms, alphas: Sequence[float]) -> list[int | None]:
    """Prompts to the crossing of 1 / alpha for each alpha, on one path of rows."""
    looks = range(terms.look, len(d) + 1, terms.look)
    path = log_wealth_path(d, terms.margin, looks)
    return [first_look(path, looks, -math.log(alpha), terms.min) for alpha in alphas]


def stopped_futile(d: Floats, terms: Terms) -> int | None:
    """Prompts to the futility stop."""
    looks = range(terms.look, len(d) + 1, terms.look)
    path = log_wealth_path(d, terms.planning_effect, looks, null="at_least")
    return first_look(path, looks, -math.log(terms.beta), 0)


def gain_bound(fresh: Floats, plan: Plan = PLAN) -> float:
    """The bound that confirmation computes on fresh rows."""
    mean, error = mean_and_error(batch_means(fresh, plan))
    return mean - 1.2816 * error


@dataclass(frozen=True)
class Policy:
    """A challenger as rows see it: its true mean on each slice and its habits."""

    means: tuple[float, ...]
    fresh_mean: float | None = None
    """True mean under the freshest judge alone; none: the same as d."""
    extra_tokens: float = 0.0
    per_token: float = 0.0
    """d gained for every extra token."""

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """An endless stream of batches of the benchmark plan."""
        while True:
            rows = []
            for (name, count), mean in zip(PLAN, self.means, strict=True):
                extra = rng.normal(self.extra_tokens, 5.0, count)
                d = np.clip(draw(rng, mean, count) + self.per_token * extra, -1.0, 1.0)
                fresh = d if self.fresh_mean is None else draw(rng, self.fresh_mean, count)
                rows += [
                    Row(name, float(x), float(y), float(z), 1.0, False, 0.5)
                    for x, y, z in zip(d, fresh, extra, strict=True)
                ]
            yield Batch.of(PLAN, rows)


def play(terms: Terms, batches: Iterator[Batch]) -> Verdict:
    """Run one duel to its verdict the way a validator drives it."""
    rounds: list[list[Batch]] = [[]]
    while not isinstance(step := decide(terms, rounds), Verdict):
        if isinstance(step, Carry):
            rounds.append([])
        else:
            rounds[-1].extend(next(batches) for _ in range(step.batches))
    return step


def wilson(hits: int, tries: int, z: float = 2.5758) -> tuple[float, float]:
    """Wilson interval of a rate, 99% by default."""
    rate = hits / tries
    centre = (rate + z * z / (2 * tries)) / (1 + z * z / tries)
    half = z * math.sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries)) / (1 + z * z / tries)
    return centre - half, centre + half


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """One Markdown table on standard output."""
    print(f"\n## {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print(
            "| " + " | ".join(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
        )


def yes(holds: bool) -> str:
    """How a table says whether a number is what was asked of it."""
    return "yes" if holds else "NO"


@dataclass(frozen=True)
class Planned:
    """A number of the design's own simulation, made before this code was written, and what is found here."""

    what: str
    planned: float
    found: float
    tolerance: float

    def row(self) -> list[object]:
        """One line of a table."""
        holds = abs(self.found - self.planned) <= self.tolerance * (1 + 1e-9)
        numbers = (f"{number:.4g}" for number in (self.planned, self.found, self.tolerance))
        return [self.what, *numbers, yes(holds)]


def print_planned(title: str, lines: Sequence[Planned]) -> None:
    """Planned numbers beside those found."""
    header = ["number", "planned", "found", "tolerance", "within"]
    print_table(title, header, [line.row() for line in lines])


def rate_tolerance(rate: float, *runs: int) -> float:
    """How far two simulated rates may lie apart: three standard errors, and .005 for rounding."""
    spread = max(rate * (1 - rate), 0.0)
    return 0.005 + 3 * math.sqrt(sum((spread + 1 / count) / count for count in runs))


Model = Callable[[Generator, float, int], Floats]
