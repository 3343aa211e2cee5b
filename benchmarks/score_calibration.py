"""Prints how well `agon-miner score` foresees verdicts: its estimates beside real duels.

`python -m benchmarks.score_calibration [--seeds N]`. A tiny competition is built as an owner builds one; the
checkpoints lie on the line from the base to a fine-tuned policy and beyond, so their strengths differ by
known steps. Each is scored once, from public prompts and the proxy judge, and then plays a duel for every
seed on the held-out pool under the held-out judge: the validators' bench, draw and rule.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.simulation import print_table
from miner.opponent import Conditions
from miner.practice import open_practice
from miner.score import Score, score, weights_digest
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.competition import read_rules
from shared.dueling import SampleKey, Side, duel_row, fresh_difference, seeds_of, statistic
from shared.evaluation.children import JudgeChild, SamplerChild
from shared.evaluation.pools import load_prompt_source, make_pool
from shared.evaluation.prompts import draw
from shared.evaluation.tiny import FOLLOWERS, OPENERS, build_tiny_policy, build_tiny_trunk
from shared.models.evidence import Sample
from shared.models.prompt import Prompt
from shared.models.verdict import Verdict
from shared.models.wire import canonical_json, digest_of
from shared.scoring import Bench, Job
from shared.stats.duel import More, Terms, decide
from shared.stats.eprocess import alpha_share
from shared.stats.rows import Block, Row
from shared.types import Digest, JudgeName, RoundNumber, SliceName
from validator.building import Ingredients, build_bundle
from validator.judge_training import Answer, CorruptionMix, JudgeRecipe, corrupt, train_judge

RULES = Path(__file__).parents[1] / "shared" / "competitions" / "demo.toml"
SLICES = (SliceName("instruct"), SliceName("constraints"))
STRENGTHS = (-0.05, 0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.024, 0.028, 0.032, 0.04, 0.06)
"""Where a checkpoint lies between the base (0) and the fine-tuned policy (1)."""
POOL, PUBLIC, REFERENCE = 512, 256, 64
CONDITIONS = Conditions(trial=1, slots=2, source="the benchmark's")
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
        answers.append(Answer(prompt.text, opener))
    recipe = JudgeRecipe(epochs=2, learning_rate=2e-3)
    return train_judge(home / f"trunk-{name}", corrupt(answers, MIXES[name], seed), home / name, seed, recipe)


def make_bundle(home: Path, seed: int) -> Bundle:
    """The demo's rules on tiny models, built as `agon-validator competition build` builds them."""
    source, rules = load_prompt_source(), read_rules(RULES)
    rules["sampling"]["engine"]["threads"] = 1
    build_tiny_policy(1, home / "base")

    def write(name: str, prompts: Sequence[Prompt]) -> Path:
        path = home / f"{name}.jsonl"
        path.write_bytes(b"".join(canonical_json(prompt) + b"\n" for prompt in prompts))
        return path

    public = [p for name in SLICES for p in make_pool(source, name, "public", PUBLIC, seed)]
    asked = [p for name in SLICES for p in make_pool(source, name, "reference", REFERENCE, seed)]
    ingredients = Ingredients(
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
    """The base after a few steps on one short answer: it ends in time and keeps to word limits."""
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


class Referee:
    """A validator's bench over one bundle, which plays duels of one checkpoint after another."""

    def __init__(self, bundle: Bundle, bench: Bench) -> None:
        self._bundle = bundle
        self._bench = bench
        self._samples: dict[SampleKey, Sample] = {}

    def play(self, checkpoint: Path, seed: int) -> Verdict:
        """One duel against the base to its verdict, on the draws of as many rounds as it takes."""
        rules = self._bundle.rules
        counts, duel = rules.duel.prompts, rules.duel
        alpha = alpha_share(duel.alpha, CONDITIONS.trial, CONDITIONS.slots, duel.horizon_rounds)
        terms = Terms.of(rules, alpha)
        weights = {part.name: part.weight for part in rules.slices}
        blocks = (counts.max + counts.gain) // rules.block_prompts
        rounds: list[list[Block]] = []
        while True:
            root = digest_of({"calibration": seed, "round": len(rounds)})
            drawn = draw(self._bundle.pools, weights, root, (), blocks)
            rounds.append([])
            while isinstance(step := decide(terms, rounds), More):
                done = len(rounds[-1])
                asked = [prompt for block in drawn[done : done + step.blocks] for prompt in block]
                rounds[-1] += Block.split(terms.plan, self._answer(checkpoint, asked, root))
            if isinstance(step, Verdict):
                return step

    def _answer(self, checkpoint: Path, prompts: Sequence[Prompt], seed: Digest) -> list[Row]:
        rules = self._bundle.rules
        sides = []
        for weights, seeds in zip(
            (checkpoint, self._bundle.base), seeds_of(rules, seed, prompts), strict=True
        ):
            model = weights_digest(weights)
            keys = [(prompt, value) for prompt in prompts for value in seeds[prompt.id]]
            missing = [(p, value) for p, value in keys if (model, p.id, value) not in self._samples]
            scored = self._bench.evaluate(weights, [Job(prompt, value) for prompt, value in missing])
            self._samples |= {(model, p.id, value): s for (p, value), s in zip(missing, scored, strict=True)}
            sides.append(Side(model, seeds, self._samples))
        rows = [duel_row(prompt, index, *sides) for index, prompt in enumerate(prompts)]
        return [statistic(row, fresh_difference(row, rules, RoundNumber(0))) for row in rows]


@contextmanager
def referee(bundle: Bundle) -> Iterator[Referee]:
    """A referee whose children end with it."""
    with (
        closing(SamplerChild(bundle.base, bundle.rules.sampling)) as sampler,
        closing(JudgeChild(bundle.judges)) as judges,
    ):
        yield Referee(bundle, Bench(bundle.rules, bundle.references, sampler, judges))


def run_trials(home: Path, bundle: Bundle, strengths: Sequence[float], seeds: int, runs: int) -> list[Trial]:
    """Score every checkpoint once, and let it duel once per seed."""
    public = [p for name in SLICES for p in make_pool(load_prompt_source(), name, "public", 96)]
    better = fine_tune(bundle.base, public, home / "better")
    trials = []
    view = load_bundle(bundle.root, public=True)
    with (
        open_practice(view, {}, prompts=256, seed=0, state=home / "state") as practice,
        referee(bundle) as judge,
    ):
        for strength in strengths:
            made = make_checkpoint(bundle.base, better, strength, home / f"at{strength:+.3f}")
            found = score(practice, made, bundle.base, CONDITIONS, against="base", runs=runs, seed=0)
            verdicts = tuple(judge.play(made, seed) for seed in range(seeds))
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
    parser.add_argument("--seeds", type=int, default=2, help="duels of each checkpoint")
    parser.add_argument("--checkpoints", type=int, default=len(STRENGTHS))
    parser.add_argument("--runs", type=int, default=1000, help="simulated duels behind each chance")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agon-calibration-") as place:
        home = Path(place)
        bundle = make_bundle(home, seed=0)
        strengths = STRENGTHS[-options.checkpoints :]
        print_trials(run_trials(home, bundle, strengths, options.seeds, options.runs), options.seeds)


if __name__ == "__main__":
    main()
