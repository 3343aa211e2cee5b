"""The commands `agon-validator judge ...`: train, measure and publish judges, and hold a verifier to answers.

Thin shells over the modules beside it; heavy imports happen inside, so that `--help` answers at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.console import JsonOption, command, make_app, print_fields, print_json, say, with_settings
from shared.errors import AgonError
from shared.logs import set_up_logs
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.judging.preferences.agreement import Agreement
    from validator.owner.judges.evaluate import PairwiseMeasures

judge_app = make_app("judge", "Train, measure and publish judges before a competition names them.")

PairsOption = Annotated[
    list[str],
    typer.Option(
        help="JSONL of pairs, plain or .gz: prompt, chosen, rejected and perhaps source, or transcripts."
        " FILE=2 takes each pair twice in an epoch. May be repeated."
    ),
]


@judge_app.command()
@command
def train(
    pairs: PairsOption,
    out: Annotated[Path, typer.Option(help="New directory for the judge, its report and learning curve.")],
    trunk: Annotated[
        str | None, typer.Option(help="Backbone: pypi:, hf:// or tiny: source, or a directory.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training pairs.", min=1)] = 2,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate; 5e-5, or 1e-3 for the head alone.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Pairs per step.", min=1)] = 16,
    max_tokens: Annotated[
        int, typer.Option(help="Longest input; older turns are cut.", min=16, max=256)
    ] = 256,
    holdout: Annotated[float, typer.Option(help="Share of the prompts held out.", min=0.01, max=0.9)] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split, the head and the order.", min=0)] = 0,
    *,
    head_only: Annotated[
        bool, typer.Option("--head-only", help="Train a BERT's head alone: quick, and weaker.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a reward model on human pairs (Bradley-Terry), and measure it on prompts it never saw."""
    _quiet()
    from shared.engines.model_sources import DEFAULT_TRUNK, fetch_trunk
    from shared.judging.preferences.sources import parse_source, read_sources
    from validator.owner.judges.report import TrainingConfig
    from validator.owner.judges.training import JUDGE_DIRECTORY
    from validator.owner.judges.training import train as train_judge

    rate = lr if lr is not None else (1e-3 if head_only else 5e-5)
    if not 0 < rate < 1:
        raise AgonError("usage", f"--lr takes a number between 0 and 1, not {rate}")
    source, shares = read_sources([parse_source(text) for text in pairs])
    config = TrainingConfig(
        epochs=epochs,
        learning_rate=rate,
        batch=batch,
        max_tokens=max_tokens,
        holdout=holdout,
        head_only=head_only,
        seed=seed,
        shares=shares,
    )
    report = train_judge(source, fetch_trunk(trunk or DEFAULT_TRUNK, Settings.load().cache), out, config)
    if as_json:
        print_json(report)
        return
    print_fields(
        {
            "judge": out / JUDGE_DIRECTORY,
            "trained on": f"{report.train_pairs} pairs, {report.dropped_pairs} dropped",
            "weights moved": report.trained_weights,
            **_fields(report.holdout),
            **_by_source(report.sources),
        }
    )


@judge_app.command()
@command
def construct(
    out: Annotated[Path, typer.Option(help="New file of pairs to write.")],
    seed: Annotated[int, typer.Option(help="Another seed makes other pairs.", min=0)] = 0,
    per_fact: Annotated[int, typer.Option(help="Turns for every noun.", min=1, max=64)] = 8,
    *,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="For measuring: other nouns and other phrases.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write pairs made from facts, to train a judge on or, with --held-out, to measure it on."""
    from dataclasses import asdict

    from shared.checkpoints.files import write_whole
    from shared.judging.preferences.constructed import construct as make_pairs
    from shared.judging.preferences.constructed import facts_of
    from shared.protocol.wire import canonical_json

    if out.exists():
        raise AgonError("usage", f"{out} exists already", help="choose a new file as --out")
    facts = facts_of("held-out" if held_out else "judge")
    pairs = make_pairs(facts, "held-out" if held_out else "training", seed, per_fact)
    write_whole(out, b"".join(canonical_json(asdict(pair)) + b"\n" for pair in pairs))
    counts = dict(sorted(Counter(pair.source for pair in pairs).items()))
    print_json({"pairs": len(pairs), "sources": counts}) if as_json else print_fields(counts)


@judge_app.command()
@command
def evaluate(
    judge: Annotated[
        str | None, typer.Argument(help="Directory, hf://org/repo or s3://host/bucket/prefix.")
    ] = None,
    *,
    pairs: PairsOption,
    url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible API of a language model to measure instead.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of that model.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File that holds the API's key.")] = None,
    parallel: Annotated[int, typer.Option(help="Pairs asked at a time.", min=1, max=64)] = 4,
    as_json: JsonOption = False,
) -> None:
    """Measure a judge on pairs, whole and by source: accuracy beside length alone, calibration, length bias.

    Pairs that the judge was trained on are left out. With --url, a language model is asked in both orders.
    """
    from shared.judging.preferences.sources import parse_source, read_sources

    if (judge is None) == (url is None):
        raise AgonError("usage", "name a judge's directory or place, or a language model with --url")
    source, _ = read_sources([parse_source(text) for text in pairs])
    if url is not None:
        found: Any = _ask_model(url, model, key_file, source.pairs, parallel)
    else:
        _quiet()
        from shared.judging.preferences.agreement import rewards_of
        from shared.judging.preferences.sources import measure_sources
        from validator.owner.judges.evaluate import unseen_pairs
        from validator.owner.judges.sources import fetch_judge

        directory = fetch_judge(str(judge), Settings.load())
        unseen = unseen_pairs(directory, source)
        if len(unseen) < len(source.pairs):
            say(f"this file trained the judge: its {len(unseen)} held-out pairs are used")
        found = measure_sources(rewards_of(directory, unseen), unseen)
    whole, sources = (found, {}) if url is not None else (found.whole, found.sources)
    if as_json:
        print_json({**whole.model_dump(mode="json"), **({"sources": sources} if sources else {})})
        return
    print_fields({**_fields(whole), **_by_source(sources)})


@judge_app.command()
@command
@with_settings("network")
def publish(
    settings: Settings,
    judge: Annotated[Path, typer.Argument(help="Directory of the judge.", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", help="s3://host/bucket/prefix, hf://org/repo, or file:NAME locally.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a judge and put it where builds can fetch it; giving the command again completes it.

    Whoever knows the place can read it: the judges that score rounds are secrets.
    """
    from validator.owner.judges.publish import publish_judge

    found = publish_judge(judge, to, settings)
    for name in found.left_out:
        say(f"left out: {name} is not one of the files that a judge may have")
    say("note: whoever knows this place can read the judge")
    if as_json:
        print_json(found)
        return
    print_fields({"source": found.source, "bytes": found.size_bytes})


@judge_app.command()
@command
def validate_verifier(
    verifier: Annotated[str, typer.Argument(help="Name of the verifier.")],
    labelled: Annotated[
        Path, typer.Option(help="JSONL of params, gold and solutions, or GSM8K's model solutions.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Hold a verifier to labelled answers: every gold answer has to score 1, every wrong one 0."""
    from validator.owner.judges.verifiers import read_tasks
    from validator.owner.judges.verifiers import validate_verifier as validate

    report = validate(verifier, read_tasks(labelled))
    report.require_sound()
    if as_json:
        print_json(report)
        return
    kinds = {"gold": report.gold, "marked right": report.correct, "marked wrong": report.wrong}
    print_fields({name: f"{tally.right} of {tally.answers} scored so" for name, tally in kinds.items()})


def _quiet() -> None:
    """Logs to stderr, and no progress bars or load reports of transformers."""
    set_up_logs("console", verbose=False)
    from transformers.utils import logging

    noise: Any = logging  # untyped in transformers
    noise.set_verbosity_error()
    noise.disable_progress_bar()


def _ask_model(
    url: str, model: str | None, key_file: Path | None, pairs: Any, parallel: int
) -> PairwiseMeasures:
    from shared.judging.pairwise import PairwiseJudge
    from validator.owner.judges.evaluate import measure_pairwise

    if model is None:
        raise AgonError("usage", "--url needs --model")
    try:
        key = key_file.read_text(encoding="utf-8").strip() if key_file else None
    except (OSError, UnicodeDecodeError) as error:
        raise AgonError("usage", f"cannot read a key from {key_file}") from error
    with PairwiseJudge(url, model, key) as asked:
        return measure_pairwise(asked, pairs, parallel)


def _fields(found: Agreement | PairwiseMeasures) -> dict[str, Any]:
    """A report as lines; nested parts are named by their last word."""
    fields: dict[str, Any] = {}
    for name in type(found).model_fields:
        value = getattr(found, name)
        if name in {"calibration", "length"}:
            fields |= {
                part: _shown(getattr(value, part)) for part in type(value).model_fields if part != "bins"
            }
        else:
            fields[name] = _shown(value)
    if hasattr(found, "useful"):
        fields["useful"] = "yes" if found.useful else "no: not proven better than length alone"
    return {name.replace("_", " "): value for name, value in fields.items()}


def _by_source(sources: Mapping[str, Agreement | None]) -> dict[str, str]:
    """Accuracy and pairs of every source."""
    return {
        f"source {name}": "too few prompts" if found is None else f"{found.accuracy} of {found.pairs} pairs"
        for name, found in sources.items()
    }


def _shown(value: Any) -> Any:
    return f"{value:.3f}" if isinstance(value, float) else value
