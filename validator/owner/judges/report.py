"""Documents of a judge's training: how it was done, its learning curve, and what the judge knows.

Training writes the report beside the judge; evaluation reads it to tell which pairs the judge never saw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from shared.errors import AgonError
from shared.judging.preferences.agreement import Agreement
from shared.types import Digest

REPORT_FILE = "report.json"
LEAST_TOKENS = 16
WEIGHT_DECAY = 0.01


class TrainingConfig(BaseModel, frozen=True, extra="forbid"):
    """How a judge is trained; the defaults suit a small encoder on two CPU cores."""

    epochs: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=5e-5, gt=0, allow_inf_nan=False)
    batch: int = Field(default=16, ge=1)
    """Pairs per optimiser step."""
    max_tokens: int = Field(default=256, ge=LEAST_TOKENS, le=256)
    """Longest input, in training and for the judge's whole life."""
    holdout: float = Field(default=0.2, gt=0, lt=1)
    """Share of the prompts held out."""
    head_only: bool = False
    """Leave the trunk as it is: quick on a CPU, and weaker."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    shares: dict[str, float] = {}
    """How often the pairs of a source come in an epoch, where it is not once."""


class CurvePoint(BaseModel, frozen=True):
    """Where training stood after so many epochs."""

    epoch: float
    train_loss: float | None = None
    """Mean over the steps since the last point."""
    holdout_loss: float | None = None
    holdout_accuracy: float | None = None


class TrainingReport(BaseModel, frozen=True):
    """What a training did, and what the judge knows about pairs it never saw."""

    config: TrainingConfig
    pairs_file: Digest
    """Of the pairs file's bytes: measuring on the same file uses the held-out pairs alone."""
    train_pairs: int
    holdout_pairs: int
    dropped_pairs: int
    """Lines that state no preference."""
    trained_weights: int
    curve: tuple[CurvePoint, ...]
    holdout: Agreement
    sources: dict[str, Agreement | None] = {}
    """The same by source, where the pairs name any."""


def require_finite(point: CurvePoint) -> CurvePoint:
    """The point itself. Raises AgonError `training_failed` for a number that is not finite."""
    numbers = point.model_dump(exclude_none=True)
    if not all(map(math.isfinite, numbers.values())):
        raise AgonError("training_failed", f"the judge's training is not finite: {numbers}")
    return point


def draw_curve(curve: Sequence[CurvePoint], path: Path) -> None:
    """Loss on both sides and held-out accuracy against epochs, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.add_subplot()
    for name, label in (("train_loss", "training loss"), ("holdout_loss", "held-out loss")):
        points = [(point.epoch, value) for point in curve if (value := getattr(point, name)) is not None]
        left.plot(*zip(*points, strict=True), marker=".", label=label)
    left.axhline(math.log(2), color="grey", linewidth=0.8, linestyle=":", label="no knowledge")
    left.set(xlabel="epoch", ylabel="Bradley-Terry loss, nats")
    right = left.twinx()
    points = [(point.epoch, point.holdout_accuracy) for point in curve if point.holdout_accuracy is not None]
    right.plot(*zip(*points, strict=True), marker="o", color="tab:green", label="held-out accuracy")
    right.set(ylabel="accuracy", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=4, fontsize="small")
    figure.savefig(path, dpi=120)
