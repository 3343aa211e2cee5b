"""Prints where the noise of a duel comes from: prompts, sampling, and the engine, on real rows.

`python benchmarks/models/variance.py [--prompts N] [--tiny]`; seeds are fixed. `--bundle DIR --challenger
DIR` measures a competition of your own. The judges and the scoring are those of validators; sampling runs
in this process, because the engine is what is varied.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.sim.arena import Arena, ArenaScorer, completions_of, draw, jobs_of, load, open_arena
from benchmarks.sim.components import (
    Components,
    Sides,
    components,
    resampled_components,
    shown,
    tie_share,
)
from benchmarks.sim.engine_variants import Variant, variants
from benchmarks.sim.simulation import SD, TIES, Floats, print_table, wilson
from shared.engines.engine import CompletionJob
from shared.engines.hf import Policy, load_policy
from shared.engines.sampler import Drawn
from shared.protocol.competition import Competition, CompletionCounts, EngineClass
from shared.protocol.evidence import Completion, ScoredCompletion
from shared.protocol.prompt import Prompt

SAMPLES = 4
FLIP_SAMPLES = 2
"""Samples of a prompt whose completions are drawn again under every engine."""
DESIGNS = ((1, 1), (1, 2), (1, 4), (2, 2), (2, 4), (4, 4))
BUDGET = 1024
"""Completions that designs are compared at."""
DUEL_PROMPTS = (256, 1000)
TOLERANCE = 0.005
"""What two validators' mean d may differ by: the margin of the production rules."""
Z95 = 1.96


@dataclass(frozen=True)
class Lab:
    """Everything that is measured with."""

    arena: Arena
    base: Policy
    scorer: ArenaScorer
    prompts: Sequence[Prompt]

    @property
    def rules(self) -> Competition:
        """The rules, engine included."""
        return self.arena.bundle.rules

    def side(self, policy: Policy) -> tuple[list[Drawn], list[Completion], list[ScoredCompletion]]:
        """`SAMPLES` scored samples of every prompt."""
        jobs = jobs_of(self.prompts, SAMPLES)
        drawn = draw(policy, jobs, self.rules.sampling)
        completions = completions_of(policy, self.base, jobs, drawn, self.rules.sampling)
        return drawn, completions, self.scorer.score(self.asked(SAMPLES), completions)

    def asked(self, samples: int) -> list[Prompt]:
        """The prompt of every sample."""
        return [prompt for prompt in self.prompts for _ in range(samples)]

    def redraw(self, variant: Variant, jobs: Sequence[CompletionJob]) -> list[Drawn]:
        """The base model's completions under another engine."""
        rules, (threads, batch) = self.rules.sampling, (variant.threads, variant.batch)
        engine = EngineClass(threads=threads or rules.engine.threads, batch=batch or rules.engine.batch)
        same = variant.change is None and variant.dtype is torch.float32
        policy = self.base if same else load(self.arena.bundle.base, variant.change, variant.dtype)
        torch.set_num_threads(engine.threads)
        try:
            return draw(policy, jobs, rules.model_copy(update={"engine": engine}))
        finally:
            torch.set_num_threads(rules.engine.threads)


def show_pair(sides: Sides, kl: Sequence[float]) -> None:
    """Who is compared: mean scores, mean d, and how far the challenger is from the base."""
    d = sides.challenger.mean(1) - sides.champion.mean(1)
    error = float(d.std(ddof=1)) / math.sqrt(len(d))
    means = [float(side.mean()) for side in (sides.challenger, sides.champion)]
    print_table(
        "Pair measured: champion is the base (+- 1 standard error)",
        ["mean s, challenger", "mean s, champion", "mean d", "KL of the challenger, nats"],
        [[*means, f"{d.mean():+.3f} +- {error:.3f}", f"{float(np.mean(kl)):.2f}"]],
    )


def show_split(sides: Sides, counts: CompletionCounts, slots: int) -> None:
    """Variance of d by source, designs at equal completions, and the assumptions beside it."""
    rows = []
    for name, part in [*sides.by_slice().items(), ("both, within slices", sides)]:
        found, tries = components(part), resampled_components(part)
        rows.append([
            name, len(part.slices), shown(found.variance(1, 1), tries.variance(1, 1)),
            shown(found.prompt, tries.prompt), shown(found.challenger, tries.challenger),
            shown(found.champion, tries.champion), shown(-2 * found.shared, -2 * tries.shared),
        ])  # fmt: skip
    print_table(
        f"Variance of d, one sample a side, by source ({SAMPLES} samples a side; 95% bootstrap over prompts)",
        ["slice", "prompts", "variance of d", "prompt", "challenger's sampling", "champion's sampling",
         "shared seeds"],
        rows,
    )  # fmt: skip
    found, tries, own = components(sides), resampled_components(sides), (counts.challenger, counts.champion)
    compare = Comparison(sides, found, tries, own, slots)
    print_table(
        f"Designs: samples of challenger + champion; standard error of mean d at {BUDGET} completions",
        ["design", "sd of d", "d = 0", "standard error", f"champion's shared by {slots} duels",
         "relative to the rules"],
        [compare.row(design) for design in DESIGNS],
    )  # fmt: skip
    many = tries.variance(*own)
    sd = math.sqrt(found.variance(*own))
    print_table(
        "Assumed in simulations, and measured",
        ["", "assumed", "measured", "prompts needed, times"],
        [
            [f"sd of d, {own[0]} + {own[1]}", SD, shown(sd, np.sqrt(many)), (sd / SD) ** 2],
            [f"share of d = 0, {own[0]} + {own[1]}", TIES, f"{tie_share(sides, *own):.3f}", ""],
        ],
    )


@dataclass(frozen=True)
class Comparison:
    """Designs against the one of the rules."""

    sides: Sides
    found: Components
    tries: Components
    now: tuple[int, int]
    slots: int

    def row(self, design: tuple[int, int]) -> list[object]:
        """One line of the table."""
        ratio = self._error(self.found, design, self.slots) / self._error(self.found, self.now, self.slots)
        ratios = self._error(self.tries, design, self.slots) / self._error(self.tries, self.now, self.slots)
        return [
            f"{design[0]} + {design[1]}",
            shown(math.sqrt(self.found.variance(*design)), np.sqrt(self.tries.variance(*design))),
            f"{tie_share(self.sides, *design):.2f}",
            float(self._error(self.found, design, 1)),
            float(self._error(self.found, design, self.slots)),
            shown(float(ratio), ratios),
        ]

    def _error(self, parts: Components, design: tuple[int, int], sharing: int) -> Floats:
        """Standard error of mean d at `BUDGET` completions, the champion's shared by `sharing` duels."""
        cost = design[0] + design[1] / sharing
        return np.asarray(np.sqrt(parts.variance(*design) * cost / BUDGET))


@dataclass(frozen=True)
class Expected:
    """What one flipped completion does to its score, from independent samples of one prompt."""

    size: float
    """Mean |s - s'|."""
    square: float
    """Mean (s - s')^2."""


def flip_cost(scores: Floats) -> Expected:
    """Over all pairs of the samples [prompt, sample]."""
    pairs = list(itertools.combinations(range(scores.shape[1]), 2))
    gaps = np.stack([scores[:, i] - scores[:, j] for i, j in pairs])
    return Expected(float(np.abs(gaps).mean()), float((gaps**2).mean()))


def show_flips(lab: Lab, old: Sequence[Drawn], scored: Sequence[ScoredCompletion], cost: Expected) -> None:
    """How often an engine changes the tokens of the base model's completions, and what that does to d.

    `old` and `scored` are the completions under the rules' engine, `FLIP_SAMPLES` a prompt.
    """
    rows, rules = [], lab.rules.sampling
    for variant in variants(rules.engine):
        chosen = slice(None, None, variant.part)
        jobs, asked = jobs_of(lab.prompts, FLIP_SAMPLES)[chosen], lab.asked(FLIP_SAMPLES)[chosen]
        new, before = lab.redraw(variant, jobs), old[chosen]
        flipped = sum(a.token_ids != b.token_ids for a, b in zip(before, new, strict=True))
        after = lab.scorer.score(asked, completions_of(lab.base, lab.base, jobs, new, rules))
        shift = [abs(a.s - b.s) for a, b in zip(scored[chosen], after, strict=True)]
        low, high = wilson(flipped, len(new), Z95)
        moved = [_logprob_shift(a, b) for a, b in zip(before, new, strict=True)]
        bound = min(1.0, float(np.mean(moved)))
        drift = [f"{math.sqrt(2 * bound * cost.square / count):.5f}" for count in DUEL_PROMPTS]
        rows.append([
            variant.name, f"{flipped} of {len(new)}", f"{max(0.0, low):.3f}..{high:.3f}", f"{bound:.1e}",
            2 * float(np.mean(shift)), f"{2 * bound * cost.size:.1e}", *drift,
        ])  # fmt: skip
    engine = rules.engine
    print_table(
        f"Flips against {engine.threads} threads, batch {engine.batch}, float32 (tolerance {TOLERANCE})",
        ["engine", "completions flipped", "95%", "expected share of flips, at most",
         "mean abs(d - d_ref) seen, at most", "the same, expected",
         *(f"1 sd of mean d over {count} prompts" for count in DUEL_PROMPTS)],
        rows,
    )  # fmt: skip


def _logprob_shift(a: Drawn, b: Drawn) -> float:
    """Sum of |change of log p| over the tokens up to the first flip.

    Its mean bounds the share of flips: a race draws another token with probability at most
    sum_i p_i |log q_i - log p_i| (first order), and i is drawn from p.
    """
    shift = 0.0
    tokens = zip(a.token_ids, b.token_ids, a.logprobs, b.logprobs, strict=False)
    for one, other, p, q in tokens:
        if one != other:
            break
        shift += abs(p - q)
    return shift


def show_judges(
    scorer: ArenaScorer,
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    together: Sequence[ScoredCompletion],
) -> None:
    """What padding does to a judge: the same completions alone, and among others."""
    alone = [scorer.score([p], [c])[0] for p, c in zip(prompts, completions, strict=True)]
    halves = [scorer.score(prompts[i::2], completions[i::2]) for i in (0, 1)]
    mixed = [halves[i % 2][i // 2] for i in range(len(completions))]
    rows = []
    for name, other in (("alone", alone), ("in another batch", mixed)):
        pairs = list(zip(together, other, strict=True))
        z = [abs(a.z[judge] - b.z[judge]) for a, b in pairs for judge in a.z]
        s = [abs(a.s - b.s) for a, b in pairs]
        rows.append([name, len(pairs), f"{max(z):.1e}", f"{max(s):.1e}", sum(x > 0 for x in s)])
    print_table(
        "Judges: the same completions scored again, against batches of 32",
        ["scored", "answers", "largest change of z", "largest change of s", "scores changed"],
        rows,
    )


def measure(arena: Arena, count: int) -> None:
    """Print every table for `count` prompts of each slice."""
    rules = arena.bundle.rules
    torch.set_num_threads(rules.sampling.engine.threads)
    prompts = [prompt for part in rules.slices for prompt in arena.bundle.pools[part.name][:count]]
    lab = Lab(arena, load_policy(arena.bundle.base), ArenaScorer(arena.bundle), prompts)
    drawn, completions, champion = lab.side(lab.base)
    _, answers, ours = lab.side(load_policy(arena.bundle.base, arena.challenger))
    sides = Sides(
        np.array([prompt.slice for prompt in prompts]),
        np.array([sample.s for sample in ours]).reshape(-1, SAMPLES),
        np.array([sample.s for sample in champion]).reshape(-1, SAMPLES),
    )
    show_pair(sides, [completion.kl for completion in answers])
    show_split(sides, rules.sampling.samples, rules.schedule.slots)
    first = [i for i in range(len(drawn)) if i % SAMPLES < FLIP_SAMPLES]
    show_flips(lab, [drawn[i] for i in first], [champion[i] for i in first], flip_cost(sides.champion))
    judged = [i for i in first if champion[i].raw]
    asked = [prompts[i // SAMPLES] for i in judged]
    show_judges(lab.scorer, asked, [completions[i] for i in judged], [champion[i] for i in judged])


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, help="of each slice (default 24; tiny 8)")
    parser.add_argument("--tiny", action="store_true", help="two-layer models")
    parser.add_argument("--bundle", type=Path, help="a competition of your own")
    parser.add_argument("--challenger", type=Path, help="a checkpoint that fits it")
    asked = parser.parse_args()
    if (asked.bundle is None) != (asked.challenger is None):
        parser.error("--bundle and --challenger go together")
    if asked.bundle is not None:
        arena = Arena.at(asked.bundle, asked.challenger)
    else:
        arena = open_arena(tiny=asked.tiny)
    measure(arena, asked.prompts or (8 if asked.tiny else 24))


if __name__ == "__main__":
    main()
