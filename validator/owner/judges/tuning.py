"""Training of a whole judge: the owner's schedule, and the learning curve on pairs held out.

`training.py` calls it; the trainer is that of `shared/judging/preferences/bradley_terry.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from shared.judging.preferences.bradley_terry import (
    PairCollator,
    Row,
    build_trainer,
    pair_accuracy,
    pair_loss,
    read_rows,
    reward_margins,
)
from shared.judging.preferences.pairs import Sides
from validator.owner.judges.report import WEIGHT_DECAY, CurvePoint, TrainingConfig, require_finite

log = structlog.get_logger()


def tune(
    model: Any, tokenizer: Any, sides: Sides, scratch: Path, config: TrainingConfig
) -> tuple[CurvePoint, ...]:
    """Move the weights of `model` on the first side, measure on the second; the learning curve.

    Raises AgonError `training_failed` when a number stops being finite.
    """
    from transformers.trainer_callback import PrinterCallback

    training, held = sides
    watch = _watch(read_rows(held, tokenizer), PairCollator(tokenizer), config.batch)
    arguments = _arguments(len(training), scratch, config)
    trainer = build_trainer(model, tokenizer, training, arguments, callbacks=[watch])
    trainer.remove_callback(PrinterCallback)  # stdout carries data only
    trainer.train()
    return tuple(watch.points)


def _arguments(pairs: int, scratch: Path, config: TrainingConfig) -> dict[str, Any]:
    steps = math.ceil(pairs / config.batch)
    return {
        "output_dir": str(scratch),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": config.batch,
        "num_train_epochs": config.epochs,
        "learning_rate": config.learning_rate,
        "weight_decay": WEIGHT_DECAY,
        "warmup_steps": max(1, steps * config.epochs // 10),
        "seed": config.seed,
        "logging_steps": max(1, steps // 8),
        "logging_nan_inf_filter": False,  # it would show the last finite loss instead
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def _watch(held: Sequence[Row], collate: PairCollator, batch: int) -> Any:
    """A callback with the learning curve in `points`; ends a training whose numbers are not finite.

    The held-out side is measured here and not by TRL, whose accuracy is a mean over unequal batches.
    """
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
            margins = reward_margins(model, held, collate, batch)  # [pairs]
            loss, accuracy = float(pair_loss(margins)), pair_accuracy(margins)
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
