"""Training of a reward model on human pairs, from any Hugging Face backbone to a judge's directory.

`agon-validator judge train` calls it. What it writes appears whole or not at all: the judge, a report and
a learning curve. All weights move (`tuning.py`), or those of the head; the fit itself is in
`shared/judging/preferences`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import structlog

from shared.errors import AgonError
from shared.judging.preferences.agreement import rewards_of
from shared.judging.preferences.bradley_terry import load_backbone, pair_accuracy, pair_loss
from shared.judging.preferences.head import fit_head, head_margins, head_parameters, read_states
from shared.judging.preferences.pairs import PairFile, Sides, split_pairs
from shared.judging.preferences.sources import measure_sources, mix
from validator.owner.judges.report import (
    REPORT_FILE,
    WEIGHT_DECAY,
    CurvePoint,
    TrainingConfig,
    TrainingReport,
    draw_curve,
    require_finite,
)

log = structlog.get_logger()

JUDGE_DIRECTORY = "judge"
CURVE_FILE = "learning_curve.png"


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
        learned = (tuple(mix(sides[0], config.shares, config.seed)), sides[1])
        curve, moved = _train(learned, trunk, Path(scratch), config)
        found = measure_sources(rewards_of(made / JUDGE_DIRECTORY, sides[1]), sides[1])
        report = TrainingReport(
            config=config,
            pairs_file=source.digest,
            train_pairs=len(sides[0]),
            holdout_pairs=len(sides[1]),
            dropped_pairs=source.dropped,
            trained_weights=moved,
            curve=curve,
            holdout=found.whole,
            sources=found.sources,
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

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports home by default
    model, tokenizer = load_backbone(trunk, config.seed)
    tokenizer.truncation_side = "left"  # the oldest turns are cut first
    tokenizer.model_max_length = config.max_tokens
    if config.head_only:
        curve, moved = _train_head(model, tokenizer, sides, config)
    else:
        from validator.owner.judges.tuning import tune

        curve = tune(model, tokenizer, sides, scratch / "trainer", config)
        moved = model.num_parameters()
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise AgonError("training_failed", "the judge's weights are not finite")
    model.save_pretrained(scratch / "made" / JUDGE_DIRECTORY)
    tokenizer.save_pretrained(scratch / "made" / JUDGE_DIRECTORY)
    return curve, moved


def _train_head(
    model: Any, tokenizer: Any, sides: Sides, config: TrainingConfig
) -> tuple[tuple[CurvePoint, ...], int]:
    """Move pooler and classifier of a BERT. Raises AgonError `usage` for any other family."""
    import torch
    from transformers import BertForSequenceClassification

    if not isinstance(model, BertForSequenceClassification):
        raise AgonError("usage", f"--head-only takes a BERT, not {type(model).__name__}")
    encoder: Any = model.bert.eval()  # type: ignore[no-untyped-call]
    training, held = (read_states(encoder, tokenizer, pairs) for pairs in sides)
    points: list[CurvePoint] = []

    def mark(epoch: int, loss: float | None = None) -> None:
        with torch.no_grad():
            margins = head_margins(model, held)  # [pairs]
        point = CurvePoint(
            epoch=epoch,
            train_loss=loss,
            holdout_loss=float(pair_loss(margins)),
            holdout_accuracy=pair_accuracy(margins),
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
    return tuple(points), sum(parameter.numel() for parameter in head_parameters(model))
