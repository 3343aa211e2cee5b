"""Prints what each recipe gains under the held-out judges, and what it costs and moves, over three seeds.

`python benchmarks/models/recipes.py [--tiny] [--seeds N] [--prompts N] [--held-out N] [--bundle DIR]
[--figure F]`. Every recipe may draw four completions to each of so many public prompts, demonstrations and
pairs included. Real models run `sft`, `dpo` and `raft`; with `tiny` all recipes of policies run. The gain
is mean d over the base on prompts of the held-out pool: what a duel would see.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.sim.arena import open_arena
from benchmarks.sim.referee import Measured, Referee, referee
from benchmarks.sim.simulation import print_table
from miner.train.completions import (
    DrawnCompletion,
    by_prompt,
    choose_prompts,
    draw_completions,
    fit_frame,
    is_sound,
)
from miner.train.recipes import find
from miner.train.registry import train
from miner.train.report import Report
from miner.train.task import TrainingTask, task_of
from shared.checkpoints.bundle import load_bundle
from shared.judging.verifiers import verify

SAMPLES = 4
REAL = ("sft", "dpo", "raft")
TINY = ("sft", "raft", "dpo", "dpo online", "grpo", "rloo", "rlaif", "pipeline")
TINY_RATES = {
    "sft": 1e-3,
    "raft": 1.5e-3,
    "dpo": 1e-3,
    "grpo": 5e-4,
    "rloo": 5e-4,
    "rlaif": 1e-3,
    "reward": 2e-3,
    "pipeline": 5e-4,
}
"""Learning rates that suit two layers; real models train with the recipes' own."""
HEADER = (
    "recipe",
    "held-out gain",
    "95% over prompts",
    "lowest and highest seed",
    "seeds above 0",
    "KL (nats)",
    "tokens",
    "wall (s)",
    "peak (MB)",
)
Z95 = 1.96


@dataclass(frozen=True)
class Plan:
    """What all runs share."""

    bundle: Path
    prompts: int
    """Prompts that a recipe may sample, four completions each."""
    held_out: int
    """Prompts of the held-out pool that the result is measured on."""
    tiny: bool


@dataclass(frozen=True)
class Run:
    """One recipe from one seed."""

    found: Measured
    report: Report
    tokens: int
    """Drawn and trained on, those of demonstrations and pairs included."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=80)
    parser.add_argument("--held-out", type=int, default=160, help="prompts of the held-out pool")
    parser.add_argument("--recipes", nargs="*")
    parser.add_argument("--bundle", type=Path, help="a competition of your own, judges and pools included")
    parser.add_argument("--figure", type=Path, help="draw the gains into this SVG file")
    options = parser.parse_args(arguments)
    bundle = (
        load_bundle(options.bundle) if options.bundle else open_arena(tiny=options.tiny, topics=True).bundle
    )
    plan = Plan(bundle.root, options.prompts, options.held_out, options.tiny)
    names = options.recipes or (TINY if options.tiny else REAL)
    # what trainers print is no part of a benchmark's tables
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr), referee(bundle) as judge:
        runs = {
            name: [
                _run(name, plan, Path(scratch) / f"{name}-{seed}", seed, judge)
                for seed in range(options.seeds)
            ]
            for name in names
        }
    print_table(
        f"Recipes on {bundle.rules.name}: {options.prompts} prompts, {options.seeds} seeds",
        HEADER,
        [_row(name, found) for name, found in runs.items()],
    )
    if options.figure:
        draw_gains({name: [run.found for run in found] for name, found in runs.items()}, options.figure)


def _run(name: str, plan: Plan, place: Path, seed: int, judge: Referee) -> Run:
    """Train in a process of its own, so that its peak memory is its own."""
    place.mkdir(parents=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        report, tokens = process.submit(train_one, name, plan, place, seed).result()
    found = judge.measure(place / "out", plan.held_out, seed=0)
    print(f"{name} {seed}: {found}, {tokens} tokens, {report.wall_s:.0f} s", flush=True)
    return Run(found, report, tokens)


def train_one(name: str, plan: Plan, place: Path, seed: int) -> tuple[Report, int]:
    """One training run in `place`: its report, and all tokens that it cost."""
    task = task_of(load_bundle(plan.bundle))
    recipe = name.partition(" ")[0]
    with redirect_stdout(sys.stderr):
        data = Data(task, place, seed)
        config = find(recipe).config.model_validate(_settings(recipe, name, plan, data, seed))
        report = train(recipe, task, config, place / "out")
    return report, report.tokens + data.tokens


def _settings(recipe: str, name: str, plan: Plan, data: Data, seed: int) -> dict[str, Any]:
    """Settings that give each recipe about prompts x 4 drawn completions, and a step that suits the model."""
    n, half = plan.prompts, max(2, plan.prompts // 2)
    own = _common(recipe, plan, seed)
    if recipe == "sft":
        own |= {"chats": data.chats(n), "epochs": 2}
    elif recipe == "rlaif":
        own |= {"constitution": data.constitution(), "prompts": half}
    elif recipe == "pipeline":
        parts = {part: _common(part, plan, seed) for part in ("sft", "reward", "grpo")}
        parts["sft"] |= {"chats": data.chats(half)}
        parts["reward"] |= {"pairs": data.pairs(half)}
        parts["grpo"] |= {"prompts": half, "generations": SAMPLES, "batch": 8}
        own |= parts
    elif recipe in {"grpo", "rloo"}:
        own |= {"prompts": n, "generations": SAMPLES, "batch": 8}
    else:
        online = name.endswith("online")
        own |= {"prompts": half, "iterations": 2} if online else {"prompts": n}
    return own


def _common(recipe: str, plan: Plan, seed: int) -> dict[str, Any]:
    return {"seed": seed} | ({"learning_rate": TINY_RATES[recipe], "threads": 1} if plan.tiny else {})


class Data:
    """The files that recipes learn from, made of the base's own completions, and what those cost."""

    def __init__(self, task: TrainingTask, place: Path, seed: int) -> None:
        self._task = task
        self._place = place
        self._seed = seed
        self.tokens = 0
        """Drawn so far."""

    def chats(self, prompts: int) -> Path:
        """Demonstrations: to each prompt one sound completion to which the verifier gives full marks."""
        rows, rng = [], random.Random(self._seed)
        for sound, _ in self._drawn(prompts):
            good = [completion for completion in sound if self._passes(completion)]
            if good:
                chosen = rng.choice(good)
                rows.append({"prompt": chosen.prompt.text, "completion": chosen.text})
        return self._write("chats.jsonl", rows)

    def pairs(self, prompts: int) -> Path:
        """Preferences: a sound completion against one that is not, of the same prompt."""
        rows, rng = [], random.Random(self._seed)
        for sound, broken in self._drawn(prompts):
            if sound and broken:
                good, bad = rng.choice(sound), rng.choice(broken)
                rows.append({"prompt": good.prompt.text, "chosen": good.text, "rejected": bad.text})
        return self._write("pairs.jsonl", rows)

    def constitution(self) -> Path:
        """One principle."""
        path = self._place / "constitution.toml"
        path.write_text(
            '[[principles]]\nname = "plain"\ncritique = "Say which words are not needed."\n'
            'revise = "Answer again in fewer and plainer words."\nprefer = "plainer, and still an answer"\n'
        )
        return path

    def _drawn(self, prompts: int) -> list[tuple[list[DrawnCompletion], list[DrawnCompletion]]]:
        """Sound and other completions to each prompt."""
        asked = choose_prompts(self._task.prompts, prompts)
        completions = draw_completions(self._task, asked, SAMPLES, seed=self._seed)
        self.tokens += sum(len(completion.token_ids) for completion in completions)
        frame = fit_frame(completions)
        groups = by_prompt(completions, lambda completion: completion.reward)
        return [
            (
                [completion for completion in group if is_sound(completion, frame)],
                [completion for completion in group if completion.text and not is_sound(completion, frame)],
            )
            for group in groups
        ]

    def _passes(self, completion: DrawnCompletion) -> bool:
        verifier = self._task.verifiers.get(completion.prompt.slice)
        return verifier is None or verify(verifier, completion.text, completion.prompt.params) == 1.0

    def _write(self, name: str, rows: Sequence[dict[str, str]]) -> Path:
        path = self._place / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path


def spread(found: Sequence[Measured]) -> tuple[float, float]:
    """Mean gain of these checkpoints, and half of its 95% interval over prompts.

    Every seed meets the same prompts, so the error does not fall with more seeds. It says nothing of other
    seeds: the lowest and the highest are shown beside it.
    """
    mean = math.fsum(one.mean for one in found) / len(found)
    return mean, Z95 * math.sqrt(math.fsum(one.error**2 for one in found) / len(found))


def _row(name: str, runs: Sequence[Run]) -> tuple[object, ...]:
    mean, half = spread([run.found for run in runs])
    return (
        name,
        f"{mean:+.3f}",
        f"[{mean - half:+.3f}, {mean + half:+.3f}]",
        f"{min(run.found.mean for run in runs):+.3f} {max(run.found.mean for run in runs):+.3f}",
        f"{sum(run.found.mean - Z95 * run.found.error > 0 for run in runs)} of {len(runs)}",
        f"{math.fsum(run.found.kl for run in runs) / len(runs):.2f}",
        round(sum(run.tokens for run in runs) / len(runs)),
        f"{math.fsum(run.report.wall_s for run in runs) / len(runs):.1f}",
        max(run.report.peak_rss_bytes for run in runs) // 10**6,
    )


def draw_gains(found: Mapping[str, Sequence[Measured]], target: Path) -> None:
    """Held-out gain against KL: a dot for every seed, a square for the mean with its interval."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "agon", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        for name, rows in found.items():
            kl, (mean, half) = [row.kl for row in rows], spread(rows)
            dots = axes.plot(kl, [row.mean for row in rows], "o", markersize=3, alpha=0.6)[0]
            centre = math.fsum(kl) / len(kl)
            axes.errorbar(centre, mean, yerr=half, fmt="s", capsize=3, label=name, color=dots.get_color())
        axes.axhline(0, color="#a3a3a3", linewidth=0.6)
        axes.set(xlabel="KL to the base, nats a completion", ylabel="mean d, held-out judges")
        axes.legend(frameon=False)
        figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
