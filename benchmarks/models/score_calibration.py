"""Prints how well `agon-miner score` foresees verdicts: its estimates beside real duels.

`python -m benchmarks.models.score_calibration [--real] [--seeds N]`. The checkpoints lie on the line from
the base to a better policy and beyond, so their strengths differ by known steps: in a tiny competition that
is built here as an owner builds one, or with `--real` between SmolLM2 and the DPO challenger of the other
benchmarks. Each is scored once, from public prompts and the proxy judge, and then plays a duel for every
seed on the held-out pool under the held-out judge: the validators' bench, draw and rule.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sim.arena import open_arena
from benchmarks.sim.referee import CONDITIONS, referee
from benchmarks.sim.simulation import print_table
from miner.dry_run.dry_run import open_dry_run
from miner.dry_run.score import Score, score
from scripts.demo.judges import BaseCompletion, CorruptionMix, JudgeRecipe, corrupt, train_judge
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.competitions.pools import load_prompt_source, make_pool
from shared.engines.tiny import FOLLOWERS, OPENERS, build_tiny_policy, build_tiny_trunk, fit_rules
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.verdict import Verdict
from shared.protocol.wire import canonical_json
from shared.types import JudgeName, SliceName
from validator.owner.build import BundleInputs, build_bundle

RULES = Path(__file__).parents[2] / "shared" / "competitions" / "demo.toml"
SLICES = (SliceName("instruct"), SliceName("constraints"))
STRENGTHS = (-0.05, 0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.024, 0.028, 0.032, 0.04, 0.06)
"""Where a checkpoint lies between the base (0) and the fine-tuned policy (1)."""
REAL_STRENGTHS = (-0.3, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
"""The same on the way to the DPO challenger, which moves its weights far less."""
POOL, PUBLIC, REFERENCE = 512, 256, 64
MIXES = {
    "proxy": CorruptionMix(
        weights={"looped": 1, "padded": 1}, kept=(0.5, 0.9), loop_words=(3, 6), filler=FOLLOWERS
    ),
    "held-out": CorruptionMix(
        weights={"looped": 1, "padded": 2}, kept=(0.4, 0.8), loop_words=(2, 5), filler=FOLLOWERS
    ),
}


@dataclass(frozen=True)
class Trial:
    """One checkpoint: what was foreseen, and the verdicts of its duels."""

    strength: float
    foreseen: Score
    verdicts: tuple[Verdict, ...]

    @property
    def wins(self) -> int:
        """Duels that it won."""
        return sum(verdict.outcome == "won" for verdict in self.verdicts)

    @property
    def mean(self) -> float:
        """Mean d of the verdicts."""
        return float(np.mean([verdict.mean for verdict in self.verdicts]))


# The competition ----------------------------------------------------------------


def make_judge(home: Path, name: str, seed: int) -> Path:
    """A tiny judge that prefers one plain sentence over the damage of its mix."""
    source, rng = load_prompt_source(), random.Random(seed)
    build_tiny_trunk(seed, home / f"trunk-{name}")
    answers = []
    for prompt in make_pool(source, SLICES[0], "proxy" if name == "proxy" else "judge", 96, seed):
        thing = source.words.with_article(prompt.id.rsplit("-", 1)[1])
        opener = rng.choice(OPENERS).format(thing=thing, Thing=thing[0].upper() + thing[1:])
        answers.append(BaseCompletion(prompt.text, opener))
    recipe = JudgeRecipe(epochs=2, learning_rate=2e-3)
    return train_judge(home / f"trunk-{name}", corrupt(answers, MIXES[name], seed), home / name, seed, recipe)


def make_bundle(home: Path, seed: int) -> Bundle:
    """The demo's rules on tiny models, built as `agon-validator competition build` builds them."""
    source, rules = load_prompt_source(), fit_rules(read_rules(RULES))
    build_tiny_policy(1, home / "base")

    def write(name: str, prompts: Sequence[Prompt]) -> Path:
        path = home / f"{name}.jsonl"
        path.write_bytes(b"".join(canonical_json(prompt) + b"\n" for prompt in prompts))
        return path

    public = [p for name in SLICES for p in make_pool(source, name, "public", PUBLIC, seed)]
    asked = [p for name in SLICES for p in make_pool(source, name, "reference", REFERENCE, seed)]
    ingredients = BundleInputs(
        rules=rules,
        base=home / "base",
        sources=("tiny:1",),
        pools={name: write(name, make_pool(source, name, "pool", POOL, seed)) for name in SLICES},
        judges={JudgeName("held-out"): make_judge(home, "held-out", 3)},
        proxy=make_judge(home, "proxy", 4),
        public_prompts=write("public", public),
        reference=write("reference", asked),
        reference_samples=2,
    )
    return build_bundle(ingredients, home / "bundle")


def fine_tune(base: Path, prompts: Sequence[Prompt], target: Path, steps: int = 60) -> Path:
    """The base after a few steps on one short completion: it ends in time and keeps to word limits."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(5)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    texts = []
    for prompt in prompts:
        message = [{"role": "user", "content": prompt.text}]
        opening = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        texts.append(f"{opening}A {prompt.id.rsplit('-', 1)[1]} is a good thing to have.<|im_end|>")
    for step in range(steps):
        batch = tokenizer(texts[step % 12 :: 12], return_tensors="pt", padding=True, add_special_tokens=False)
        labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
        loss = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(target)
    return target


def make_checkpoint(base: Path, better: Path, strength: float, target: Path) -> Path:
    """base + strength * (better - base), tensor by tensor."""
    from safetensors.numpy import load_file, save_file

    ours, theirs = load_file(base / "model.safetensors"), load_file(better / "model.safetensors")
    target.mkdir(parents=True)
    mixed = {
        name: (value + strength * (theirs[name] - value)).astype(value.dtype) for name, value in ours.items()
    }
    save_file(mixed, target / "model.safetensors", metadata={"format": "pt"})
    return target


# The duels ----------------------------------------------------------------------


def make_better(home: Path, bundle: Bundle) -> Path:
    """The policy at the end of the tiny line."""
    public = [p for name in SLICES for p in make_pool(load_prompt_source(), name, "public", 96)]
    return fine_tune(bundle.base, public, home / "better")


def run_trials(
    home: Path, bundle: Bundle, better: Path, strengths: Sequence[float], *, seeds: int, runs: int
) -> list[Trial]:
    """Score every checkpoint once, and let it duel once per seed, on prompts of its own.

    Near checkpoints complete the same prompts alike: on common ones they would all be lucky together.
    """
    trials = []
    view = load_bundle(bundle.root, public=True)
    with referee(bundle) as judge:
        for number, strength in enumerate(strengths):
            made = make_checkpoint(bundle.base, better, strength, home / f"at{strength:+.3f}")
            with open_dry_run(view, {}, prompts=256, seed=number, state=home / "state") as dry_run:
                found = score(dry_run, made, bundle.base, CONDITIONS, against="base", runs=runs, seed=0)
            verdicts = tuple(judge.play(made, number * seeds + seed) for seed in range(seeds))
            print(f"{strength:+.3f}: chance {found.chance:.2f}, d {found.mean:+.3f}", file=sys.stderr)
            trials.append(Trial(strength, found, verdicts))
    return trials


def print_trials(trials: Sequence[Trial], seeds: int) -> None:
    """The table by checkpoint, and what it comes to."""
    rows = []
    for trial in trials:
        found, interval = trial.foreseen, f"[{trial.foreseen.lower:+.3f}, {trial.foreseen.upper:+.3f}]"
        reasons = sorted({verdict.reason for verdict in trial.verdicts})
        rows.append(
            [
                f"base {trial.strength:+.3f}",
                f"{found.chance:.2f}",
                f"{trial.wins} of {seeds}",
                f"{found.mean:+.3f} {interval}",
                f"{trial.mean:+.3f}",
                ", ".join(reasons),
            ]
        )
    header = ["checkpoint", "chance", "crowned", "d estimated (90%)", "d of verdicts", "reasons"]
    print_table(f"Foreseen and found, {seeds} duels a checkpoint", header, rows)
    chance = np.array([trial.foreseen.chance for trial in trials])
    share = np.array([trial.wins / seeds for trial in trials])
    ours, theirs = (
        np.array(values) for values in zip(*[(t.foreseen.mean, t.mean) for t in trials], strict=True)
    )
    inside = np.mean([trial.foreseen.lower <= trial.mean <= trial.foreseen.upper for trial in trials])
    print_table(
        "What it comes to",
        ["measure", "value"],
        [
            ["mean chance foreseen", float(chance.mean())],
            ["share of duels crowned", float(share.mean())],
            ["mean absolute error of the chance", float(np.abs(chance - share).mean())],
            [
                "Brier score of single duels",
                float(np.mean(chance**2 * (1 - share) + (1 - chance) ** 2 * share)),
            ],
            ["the same for a guess of the mean", float(share.mean() * (1 - share.mean()))],
            ["mean error of d (proxy minus held-out)", float((ours - theirs).mean())],
            ["correlation of d estimated and found", float(np.corrcoef(ours, theirs)[0, 1])],
            ["checkpoints whose d lies in the interval", float(inside)],
        ],
    )


def main() -> None:
    """Build, score, duel, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="SmolLM2-135M; hours on two cores")
    parser.add_argument("--seeds", type=int, default=2, help="duels of each checkpoint")
    parser.add_argument("--checkpoints", type=int, default=len(STRENGTHS))
    parser.add_argument("--runs", type=int, default=1000, help="simulated duels behind each chance")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agon-calibration-") as place:
        home = Path(place)
        if options.real:
            arena = open_arena(tiny=False)
            bundle, better, line = arena.bundle, arena.challenger, REAL_STRENGTHS
        else:
            bundle = make_bundle(home, seed=0)
            better, line = make_better(home, bundle), STRENGTHS
        found = run_trials(
            home, bundle, better, line[-options.checkpoints :], seeds=options.seeds, runs=options.runs
        )
        print_trials(found, options.seeds)


if __name__ == "__main__":
    main()
