"""Training of a reward model on human pairs, from any Hugging Face backbone to a judge's directory.

`agon-validator judge train` calls it. What it writes appears whole or not at all: the judge, a report and
a learning curve. Which weights move is `tuning.py` (all of them) or `head.py`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from shared.errors import AgonError
from validator.owner.judges.evaluate import measure_judge
from validator.owner.judges.head import fit_head, read_rewards, read_states
from validator.owner.judges.pairs import Pair, PairFile, split_pairs
from validator.owner.judges.report import (
    REPORT_FILE,
    CurvePoint,
    TrainingConfig,
    TrainingReport,
    draw_curve,
    require_finite,
)

log = structlog.get_logger()

JUDGE_DIRECTORY = "judge"
CURVE_FILE = "learning_curve.png"
WEIGHT_DECAY = 0.01

Sides = tuple[Sequence[Pair], Sequence[Pair]]
"""Training pairs and held-out pairs."""


def train(source: PairFile, trunk: Path, out: Path, config: TrainingConfig) -> TrainingReport:
    """Train a judge from the backbone at `trunk` and write the new directory `out`.

    `out/judge` is the judge; beside it are `report.json` and `learning_curve.png`. Raises AgonError
    `usage` when `out` exists, `data_invalid`, `base_unavailable` for a backbone that cannot be loaded,
    `training_failed` when a number stops being finite.
    """
    if out.exists():
        raise AgonError("usage", f"{out} exists already", help="choose a new directory as --out")
    sides = split_pairs(source.pairs, config.holdout, config.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".judge-") as scratch:
        made = Path(scratch) / "made"
        curve, moved = _train(sides, trunk, Path(scratch), config)
        report = TrainingReport(
            config=config,
            pairs_file=source.digest,
            train_pairs=len(sides[0]),
            holdout_pairs=len(sides[1]),
            dropped_pairs=source.dropped,
            trained_weights=moved,
            curve=curve,
            holdout=measure_judge(made / JUDGE_DIRECTORY, sides[1]),
        )
        (made / REPORT_FILE).write_text(report.model_dump_json(indent=2) + "\n")
        draw_curve(curve, made / CURVE_FILE)
        made.rename(out)
    return report


def _train(
    sides: Sides, trunk: Path, scratch: Path, config: TrainingConfig
) -> tuple[tuple[CurvePoint, ...], int]:
    """Train and save to `scratch/made/judge`; the curve and the number of weights that moved."""
    import torch
    from transformers import set_seed

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports home by default
    set_seed(config.seed)  # the head is random
    model, tokenizer = _load(trunk, config)
    if config.head_only:
        curve, moved = _train_head(model, tokenizer, sides, config)
    else:
        from validator.owner.judges.tuning import tune

        curve = tune(model, tokenizer, sides, scratch / "trainer", config)
        moved = model.num_parameters()
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise AgonError("training_failed", "the judge's weights are not finite")
    model.save_pretrained(scratch / "made" / JUDGE_DIRECTORY)
    tokenizer.save_pretrained(scratch / "made" / JUDGE_DIRECTORY)
    return curve, moved


def _load(trunk: Path, config: TrainingConfig) -> tuple[Any, Any]:
    """The backbone with a new head of one label, and its tokenizer set to cut the oldest turns first."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            trunk, num_labels=1, dtype=torch.float32, use_safetensors=True, **options
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(trunk, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise AgonError("base_unavailable", f"cannot load a backbone from {trunk}: {error}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.truncation_side = "left"
    tokenizer.model_max_length = config.max_tokens
    return model, tokenizer


def _train_head(
    model: Any, tokenizer: Any, sides: Sides, config: TrainingConfig
) -> tuple[tuple[CurvePoint, ...], int]:
    """Move pooler and classifier of a BERT. Raises AgonError `usage` for any other family."""
    import torch
    from transformers import BertForSequenceClassification

    from shared.engines.hf import JudgeReader

    if not isinstance(model, BertForSequenceClassification):
        raise AgonError("usage", f"--head-only takes a BERT, not {type(model).__name__}")
    encoder: Any = model.bert.eval()  # type: ignore[no-untyped-call]
    encode = JudgeReader(tokenizer).encode
    training, held = (_states(encoder, encode, pairs) for pairs in sides)
    points: list[CurvePoint] = []

    def mark(epoch: int, loss: float | None = None) -> None:
        with torch.no_grad():
            margins = read_rewards(model, held[0]) - read_rewards(model, held[1])
        point = CurvePoint(
            epoch=epoch,
            train_loss=loss,
            holdout_loss=float(-torch.nn.functional.logsigmoid(margins).mean()),
            holdout_accuracy=float((torch.sign(margins) + 1).mean()) / 2,
        )
        points.append(require_finite(point))
        log.info("training", **point.model_dump(exclude_none=True))

    mark(0)
    fit_head(
        model,
        training,
        epochs=config.epochs,
        batch=config.batch,
        learning_rate=config.learning_rate,
        weight_decay=WEIGHT_DECAY,
        after_epoch=mark,
    )
    heads = (*encoder.pooler.parameters(), *model.classifier.parameters())
    return tuple(points), sum(weight.numel() for weight in heads)


def _states(encoder: Any, encode: Any, pairs: Sequence[Pair]) -> tuple[Any, Any]:
    """First-token states of the preferred and of the other answers."""
    texts = [(pair.prompt, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    states = read_states(encoder, encode, texts)
    return states[0::2], states[1::2]
