"""A policy's completions under the proxy and under the held-out judge, as points on the way of optimising.

`overoptimisation.py` makes, prints and fits them; a run is stored as JSON and read back here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sim.arena import Arena, ArenaScorer, completions_of, draw, jobs_of, load
from benchmarks.sim.gao import best_of_n, best_of_n_kl
from benchmarks.sim.simulation import Floats
from shared.engines.hf import Policy
from shared.judging.families.reward_model import RewardModel
from shared.judging.proxy_gap import Gap, measure_gap, rises
from shared.protocol.prompt import Prompt


@dataclass(frozen=True)
class Answers:
    """Measured completions of one policy, arrays [prompt, sample]."""

    proxy: Floats
    """Raw rewards of the proxy."""
    held_out: Floats
    """u."""
    score: Floats
    """s, behind the gates."""
    kl: Floats
    tokens: Floats
    gates: dict[str, Floats]
    """1 where a gate closed."""


@dataclass(frozen=True)
class Point:
    """One degree of optimisation: per-prompt means, rises in standard deviations of the base's rewards."""

    label: str
    kl: Floats
    proxy: Floats
    held_out: Floats
    d: Floats
    gates: dict[str, float]
    tokens: float

    @property
    def gap(self) -> Gap:
        """The published alarm."""
        return measure_gap(self.proxy.tolist(), self.held_out.tolist())


class Measurer:
    """Draws a policy's completions to one set of prompts and measures them under every judge."""

    def __init__(self, arena: Arena, prompts: Sequence[Prompt]) -> None:
        self._rules, self._prompts = arena.bundle.rules.sampling, prompts
        self._scorer, self.proxy = ArenaScorer(arena.bundle), RewardModel(arena.proxy)
        self.base = load(arena.bundle.base)

    def answers(self, policy: Policy, samples: int) -> Answers:
        """`samples` completions of every prompt."""
        jobs = jobs_of(self._prompts, samples)
        drawn = draw(policy, jobs, self._rules)
        completions = completions_of(policy, self.base, jobs, drawn, self._rules)
        rewards = self.proxy.reward([(job.text, c.text) for job, c in zip(jobs, completions, strict=True)])
        scored = self._scorer.score([p for p in self._prompts for _ in range(samples)], completions)
        names = sorted({gate for sample in scored for gate in sample.gates})

        def table(values: Sequence[float]) -> Floats:
            return np.array(values, dtype=float).reshape(-1, samples)

        return Answers(
            proxy=table(rewards),
            held_out=table([sample.u or 0.0 for sample in scored]),
            score=table([sample.s for sample in scored]),
            kl=table([completion.kl for completion in completions]),
            tokens=table([len(completion.token_ids) for completion in completions]),
            gates={name: table([name in sample.gates for sample in scored]) for name in names}
            | {"any": table([bool(sample.gates) for sample in scored])},
        )


def best_of_points(base: Answers) -> list[Point]:
    """Best of n = 1, 2, 4, ... by the proxy."""
    sizes = [2**power for power in range(int(math.log2(base.proxy.shape[1])) + 1)]
    points = []
    for n in sizes:
        proxy, held_out, score, tokens = (
            best_of_n(base.proxy, values, n)
            for values in (base.proxy, base.held_out, base.score, base.tokens)
        )
        points.append(
            Point(
                label=str(n),
                kl=np.full(len(proxy), best_of_n_kl(n)),
                proxy=(proxy - base.proxy.mean(1)) / base.proxy.std(),
                held_out=(held_out - base.held_out.mean(1)) / base.held_out.std(),
                d=score - base.score.mean(1),
                gates={
                    name: float(best_of_n(base.proxy, closed, n).mean())
                    for name, closed in base.gates.items()
                },
                tokens=float(tokens.mean()),
            )
        )
    return points


def policy_point(label: str, base: Answers, found: Answers) -> Point:
    """One checkpoint against the base on the same prompts."""
    return Point(
        label=label,
        kl=found.kl.mean(1),
        proxy=np.array(rises(found.proxy.tolist(), base.proxy.tolist())),
        held_out=np.array(rises(found.held_out.tolist(), base.held_out.tolist())),
        d=found.score.mean(1) - base.score.mean(1),
        gates={name: float(closed.mean()) for name, closed in found.gates.items()},
        tokens=float(found.tokens.mean()),
    )


def distances(points: Sequence[Point]) -> Floats:
    """sqrt(KL) of every point; an estimate below 0 counts as 0."""
    return np.sqrt(np.maximum(0.0, [point.kl.mean() for point in points]))


def store(runs: dict[str, list[Point]], path: Path) -> None:
    """Write every point, arrays as lists, to a millionth."""

    def plain(point: Point) -> dict[str, Any]:
        return {k: v.round(6).tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(point).items()}

    path.write_text(json.dumps({name: [plain(p) for p in points] for name, points in runs.items()}))


def restore(path: Path) -> dict[str, list[Point]]:
    """Read what `store` wrote."""

    def point(row: dict[str, Any]) -> Point:
        fields: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in row.items()}
        return Point(**fields)

    return {name: [point(row) for row in rows] for name, rows in json.loads(path.read_text()).items()}
