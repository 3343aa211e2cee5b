"""Prints what each recipe gains, costs and moves at an equal budget of drawn tokens, over three seeds.

`python benchmarks/recipes.py [--tiny] [--seeds N] [--prompts N] [--held-out N] [--bundle DIR]`. Real models
run `sft`, `dpo` and `raft`; with `tiny` all recipes of policies run. The gain is the recipe's own objective
on prompts that it never saw, not a held-out judge's verdict.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.arena import open_arena
from benchmarks.simulation import print_table
from miner.train.answers import draw_answers, fit_frame, is_sound
from miner.train.measure import measure
from miner.train.raft import best_answers
from miner.train.recipes import find
from miner.train.registry import split_prompts, train
from miner.train.report import Gain
from miner.train.task import TrainingTask, task_of
from shared.checkpoints.bundle import load_bundle
from shared.models.prompt import Prompt

SAMPLES = 4
REAL = ("sft", "dpo", "raft")
TINY = ("sft", "raft", "dpo", "dpo online", "grpo", "rloo", "rlaif", "pipeline")
RATES = {
    "sft": 2e-4,
    "raft": 3e-4,
    "dpo": 2e-4,
    "grpo": 1e-4,
    "rloo": 1e-4,
    "rlaif": 2e-4,
    "reward": 4e-4,
    "pipeline": 1e-4,
}
"""Learning rates for 135M weights; the tiny model takes five times as much."""
HEADER = (
    "recipe",
    "gain",
    "95% over seeds and prompts",
    "seeds above 0",
    "KL (nats)",
    "tokens",
    "wall (s)",
    "peak (MB)",
)
Z95 = 1.96


@dataclass(frozen=True)
class Lab:
    """What all runs share."""

    task: TrainingTask
    held_out: Sequence[Prompt]
    prompts: int
    """Prompts that a recipe may sample, four answers each."""
    tiny: bool


@dataclass(frozen=True)
class Run:
    """One recipe from one seed."""

    gain: Gain
    kl: float
    tokens: int
    wall_s: float
    rss_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--held-out", type=int, default=32)
    parser.add_argument("--recipes", nargs="*")
    parser.add_argument("--bundle", type=Path, help="a competition of your own; its public part is enough")
    options = parser.parse_args(arguments)
    found = options.bundle
    bundle = load_bundle(found, public=True) if found else open_arena(tiny=options.tiny).bundle
    whole = task_of(bundle)
    seen, held_out = split_prompts(whole.prompts, options.held_out)
    lab = Lab(replace(whole, prompts=seen), held_out, options.prompts, options.tiny)
    rows = []
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        for name in options.recipes or (TINY if options.tiny else REAL):
            places = [Path(scratch) / f"{name}-{seed}" for seed in range(options.seeds)]
            rows.append(_row(name, [_run(name, lab, place, seed) for seed, place in enumerate(places)]))
    print_table(
        f"Recipes on {bundle.rules.name}: {options.prompts} prompts, {options.seeds} seeds",
        HEADER,
        rows,
    )


def _run(name: str, lab: Lab, place: Path, seed: int) -> Run:
    place.mkdir(parents=True)
    recipe = name.partition(" ")[0]
    config = find(recipe).config.model_validate(_settings(recipe, name, lab, place, seed))
    report = train(recipe, lab.task, config, place / "out")
    found = measure(lab.task, place / "out", lab.held_out, seed=1000 + seed)
    return Run(found.gain, found.kl, report.tokens, report.wall_s, report.peak_rss_bytes)


def _settings(recipe: str, name: str, lab: Lab, place: Path, seed: int) -> dict[str, Any]:
    """Settings that give each recipe about prompts x 4 drawn answers, and a step that suits the model."""
    n, half, rate = lab.prompts, max(2, lab.prompts // 2), 5 if lab.tiny else 1
    own: dict[str, Any] = {"seed": seed, "learning_rate": RATES[recipe] * rate}
    if recipe == "sft":
        own |= {"chats": _chats(lab.task, n, place, seed), "epochs": 2}
    elif recipe == "rlaif":
        own |= {"constitution": _constitution(place), "prompts": half}
    elif recipe == "pipeline":
        parts: dict[str, dict[str, Any]] = {
            part: {"seed": seed, "learning_rate": RATES[part] * rate} for part in ("sft", "reward", "grpo")
        }
        parts["sft"] |= {"chats": _chats(lab.task, half, place, seed)}
        parts["reward"] |= {"pairs": _pairs(lab.task, half, place, seed)}
        parts["grpo"] |= {"prompts": half, "generations": SAMPLES, "batch": 8}
        own |= parts
    elif recipe in {"grpo", "rloo"}:
        own |= {"prompts": n, "generations": SAMPLES, "batch": 8}
    else:
        online = name.endswith("online")
        own |= {"prompts": half, "iterations": 2} if online else {"prompts": n}
    return own | ({"threads": 1} if lab.tiny else {})


def _chats(task: TrainingTask, count: int, place: Path, seed: int) -> Path:
    """Demonstrations: the base's own sound answers, the best of four."""
    answers = draw_answers(task, task.prompts[:count], SAMPLES, seed=seed)
    rows = [{"prompt": row.prompt.text, "completion": row.text} for row in best_answers(answers, task)]
    return _write(place / "chats.jsonl", rows)


def _pairs(task: TrainingTask, count: int, place: Path, seed: int) -> Path:
    """Preferences: a sound answer against one that is not, of the same prompt."""
    answers = draw_answers(task, task.prompts[: 2 * count], SAMPLES, seed=seed)
    frame, rng = fit_frame(answers), random.Random(seed)
    rows = []
    for prompt in task.prompts[: 2 * count]:
        own = [answer for answer in answers if answer.prompt.id == prompt.id and answer.text]
        good = [answer.text for answer in own if is_sound(answer, frame)]
        bad = [answer.text for answer in own if not is_sound(answer, frame)]
        if good and bad:
            rows.append({"prompt": prompt.text, "chosen": rng.choice(good), "rejected": rng.choice(bad)})
    return _write(place / "pairs.jsonl", rows)


def _write(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _constitution(place: Path) -> Path:
    path = place / "constitution.toml"
    path.write_text(
        '[[principles]]\nname = "plain"\ncritique = "Say which words are not needed."\n'
        'revise = "Answer again in fewer and plainer words."\nprefer = "plainer, and still an answer"\n'
    )
    return path


def _row(name: str, runs: Sequence[Run]) -> tuple[object, ...]:
    """Means over seeds; the interval takes the larger of the spreads of seeds and of prompts."""
    means = [run.gain.mean for run in runs]
    mean = math.fsum(means) / len(means)
    within = math.fsum(((run.gain.high - run.gain.low) / (2 * Z95)) ** 2 for run in runs) / len(runs) ** 2
    between = math.fsum((value - mean) ** 2 for value in means) / max(1, len(means) - 1) / len(means)
    half = Z95 * math.sqrt(max(within, between))
    return (
        name,
        f"{mean:+.3f}",
        f"[{mean - half:+.3f}, {mean + half:+.3f}]",
        f"{sum(run.gain.low > 0 for run in runs)} of {len(runs)}",
        f"{math.fsum(run.kl for run in runs) / len(runs):.2f}",
        round(sum(run.tokens for run in runs) / len(runs)),
        f"{math.fsum(run.wall_s for run in runs) / len(runs):.1f}",
        max(run.rss_bytes for run in runs) // 10**6,
    )


if __name__ == "__main__":
    main()
