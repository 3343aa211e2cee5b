"""Prints what a judge learns from human pairs, beside length alone, and how verifiers score labelled answers.

`python -m benchmarks.models.judges --pairs hh-harmless.jsonl.gz --solutions example_model_solutions.jsonl`.
Both are public and MIT-licensed: Anthropic's `hh-rlhf` (harmless-base, test split) and OpenAI's
`grade-school-math` (`example_model_solutions`). By default a head is trained on the frozen trunk, which a
CPU core does in about a minute and a half; `--tune` trains the whole encoder. The seed is fixed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sim.simulation import print_table
from shared.engines.model_sources import DEFAULT_TRUNK, fetch_trunk
from shared.judging.preferences.agreement import Agreement, Estimate
from shared.judging.preferences.pairs import PairFile, read_pairs
from shared.judging.verifiers import VERIFIERS
from shared.logs import set_up_logs
from shared.settings import Settings
from validator.owner.judges.report import TrainingConfig, TrainingReport
from validator.owner.judges.training import train
from validator.owner.judges.verifiers import read_tasks, validate_verifier


def human_pairs(source: PairFile, trunk: Path, config: TrainingConfig) -> TrainingReport:
    """Train one judge and print what it knows about the prompts that were held out."""
    started = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        report = train(source, trunk, Path(scratch) / "out", config)
    seconds = time.process_time() - started
    found = report.holdout
    what = "head alone" if config.head_only else "whole encoder"
    title = (
        f"Human pairs: {what}, {report.train_pairs} pairs, {config.epochs} epochs, at most "
        f"{config.max_tokens} tokens, {seconds:.0f} s of CPU; "
        f"measured on {found.pairs} pairs of {found.prompts} unseen prompts"
    )
    print_table(title, ["measure", "value [95% interval]"], _rows(found))
    print_table(
        "Reliability of sigmoid(margin) on the held-out pairs",
        ["stated confidence", "pairs", "mean confidence", "accuracy"],
        [
            [f"{part.low:.1f} to {part.high:.1f}", part.pairs, part.confidence, part.accuracy]
            for part in found.calibration.bins
        ],
    )
    return report


def _rows(found: Agreement) -> list[list[object]]:
    return [
        ["accuracy of the judge", found.accuracy],
        [f"accuracy of `{found.length_rule} wins`", found.length_accuracy],
        ["difference, paired", found.above_length],
        ["proven better than length", "yes" if found.useful else "no"],
        ["accuracy where the better completion is shorter", _shown(found.length.shorter_is_better)],
        ["accuracy where the better completion is longer", _shown(found.length.longer_is_better)],
        ["length slope, sd of reward per e-fold", _shown(found.length.slope)],
        ["log loss (no knowledge: 0.693)", found.calibration.log_loss],
        ["log loss at the best temperature", found.calibration.log_loss_at_temperature],
        ["best temperature", found.calibration.temperature],
        ["expected calibration error", found.calibration.ece],
    ]


def _shown(estimate: Estimate | None) -> object:
    return "-" if estimate is None else estimate


def labelled_answers(path: Path, verifiers: Sequence[str]) -> None:
    """Print how each verifier scores gold answers and solutions that people marked."""
    tasks = read_tasks(path)
    rows = []
    for name in verifiers:
        report = validate_verifier(name, tasks)
        counts = [
            f"{tally.right} of {tally.answers}" for tally in (report.gold, report.correct, report.wrong)
        ]
        rows.append([f"`{name}`", *counts, "yes" if report.sound else "no"])
    print_table(
        f"Verifiers on {len(tasks)} labelled tasks",
        ["verifier", "gold scores 1", "marked right scores 1", "marked wrong scores 0", "may be used"],
        rows,
    )


def main() -> None:
    """Run what data was given for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, help="human pairs, JSON lines, plain or .gz")
    parser.add_argument("--solutions", type=Path, help="labelled solutions, JSON lines, plain or .gz")
    parser.add_argument("--trunk", default=DEFAULT_TRUNK, help="pypi:, hf:// or tiny: source, or a directory")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tune", action="store_true", help="train the whole encoder; slow on a CPU")
    chosen = parser.parse_args()
    set_up_logs("console", verbose=False)
    if chosen.pairs:
        config = TrainingConfig(
            epochs=chosen.epochs,
            learning_rate=5e-5 if chosen.tune else 1e-3,
            batch=16,
            max_tokens=chosen.max_tokens,
            holdout=0.3,
            head_only=not chosen.tune,
            seed=chosen.seed,
        )
        human_pairs(read_pairs(chosen.pairs), fetch_trunk(chosen.trunk, Settings.load().cache), config)
    if chosen.solutions:
        labelled_answers(chosen.solutions, [name for name in VERIFIERS if name.startswith("exact-answer-")])


if __name__ == "__main__":
    main()
