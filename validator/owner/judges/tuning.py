"""Training of a whole judge with TRL: Bradley-Terry loss over any sequence-classification backbone.

`training.py` calls it. Texts are read by the very lines that read them when the judge scores, so nothing
is dropped for its length and no segment is lost, as TRL alone would have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from validator.owner.judges.pairs import Pair
from validator.owner.judges.report import CurvePoint, TrainingConfig, require_finite

if TYPE_CHECKING:
    from trl.trainer.reward_config import RewardConfig

log = structlog.get_logger()


def tune(
    model: Any,
    tokenizer: Any,
    sides: tuple[Sequence[Pair], Sequence[Pair]],
    scratch: Path,
    config: TrainingConfig,
) -> tuple[CurvePoint, ...]:
    """Move the weights of `model` on the first side, measure on the second; the learning curve.

    Raises AgonError `training_failed` when a number stops being finite.
    """
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.reward_trainer import RewardTrainer

    collate = _Collator(tokenizer)
    watch = _watch(_rows(sides[1], tokenizer), collate, config.batch)
    trainer: Any = RewardTrainer(
        model=model,
        args=_arguments(len(sides[0]), scratch, config),
        data_collator=collate,
        train_dataset=Dataset.from_list(_rows(sides[0], tokenizer)),
        processing_class=tokenizer,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)  # stdout carries data only
    trainer.train()
    return tuple(watch.points)


def _arguments(pairs: int, scratch: Path, config: TrainingConfig) -> RewardConfig:
    from trl.trainer.reward_config import RewardConfig

    steps = math.ceil(pairs / config.batch)
    return RewardConfig(
        output_dir=str(scratch),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=config.batch,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        weight_decay=0.01,
        warmup_steps=max(1, steps * config.epochs // 10),
        max_length=None,  # TRL would drop longer pairs; the reader cuts them, as it does when it scores
        seed=config.seed,
        logging_steps=max(1, steps // 8),
        logging_nan_inf_filter=False,  # it would show the last finite loss instead
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def _rows(pairs: Sequence[Pair], tokenizer: Any) -> list[dict[str, list[int]]]:
    """Tokens of every pair, as scoring reads them: TRL's own columns, and the segments it leaves out."""
    from shared.engines.hf import JudgeReader

    reader = JudgeReader(tokenizer)
    rows = []
    for pair in pairs:
        row = {}
        for side, answer in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            encoded = reader.encode([(pair.prompt, answer)])
            row[f"{side}_ids"] = encoded["input_ids"][0].tolist()
            if "token_type_ids" in encoded:
                row[f"{side}_segments"] = encoded["token_type_ids"][0].tolist()
        rows.append(row)
    return rows


class _Collator:
    """Batches of padded tensors, all chosen answers before all rejected ones."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
        names = {"input_ids": "ids", "token_type_ids": "segments"}
        features = [
            {name: row[f"{side}_{part}"] for name, part in names.items() if f"{side}_{part}" in row}
            for side in ("chosen", "rejected")
            for row in rows
        ]
        return dict(self._tokenizer.pad(features, return_tensors="pt"))


def _watch(held: Sequence[dict[str, list[int]]], collate: _Collator, batch: int) -> Any:
    """A callback with the learning curve in `points`; ends a training whose numbers are not finite.

    The held-out side is measured here and not by TRL, whose accuracy is a mean over unequal batches.
    """
    import torch
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        points: list[CurvePoint] = []

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - TRL's
            self._measure(kwargs["model"], 0.0)

        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            self._measure(kwargs["model"], float(state.epoch))

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            logs = kwargs["logs"]
            if "loss" in logs:
                self._add(CurvePoint(epoch=float(state.epoch), train_loss=float(logs["loss"])))

        def _measure(self, model: Any, epoch: float) -> None:
            losses, hits = 0.0, 0.0
            model.eval()
            with torch.no_grad():
                for start in range(0, len(held), batch):
                    good, bad = model(**collate(held[start : start + batch])).logits[:, 0].chunk(2)
                    losses -= float(torch.nn.functional.logsigmoid(good - bad).sum())
                    hits += float((torch.sign(good - bad) + 1).sum()) / 2
            accuracy, loss = hits / len(held), losses / len(held)
            self._add(CurvePoint(epoch=epoch, holdout_loss=loss, holdout_accuracy=accuracy))

        def _add(self, point: CurvePoint) -> None:
            self.points.append(require_finite(point))
            log.info(
                "training",
                **{name: round(value, 4) for name, value in point.model_dump(exclude_none=True).items()},
            )

    watch = Watch()
    watch.points = []
    return watch
