"""The watch over a trainer: a progress line for people, and an end at the first number that is not finite.

It is a callback of the Hugging Face trainer. Weights are looked at before they are saved, so a checkpoint
on disk is always a good one.
"""

# ruff: noqa: ARG002 (the trainer calls its callbacks by keyword)
from __future__ import annotations

import math
import sys
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from miner.train.workspace import Talk, is_main
from shared.errors import AgonError

LINES = 10
"""Progress lines of a stage where there is no terminal to draw a bar on."""


class Watch(TrainerCallback):
    """One stage's progress and guard."""

    def __init__(self, stage: str, talk: Talk) -> None:
        self._stage = stage
        self._talk = talk
        self._bar: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Draw the bar."""
        if is_main() and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._stage, total=state.max_steps, completed=state.global_step, note=""
            )

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Refuse a loss or gradient that is not finite, and show the step."""
        found = logs or {}
        for name in ("loss", "grad_norm"):
            if name in found and not math.isfinite(float(found[name])):
                raise AgonError("training_failed", f"{name} is not finite at step {state.global_step}")
        if "loss" in found and is_main():
            self._show(state.global_step, state.max_steps, _note(found))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the weights before they are saved."""
        last = state.global_step >= state.max_steps
        if control.should_save or last:
            model = kwargs["model"]
            if not all(bool(torch.isfinite(tensor).all()) for tensor in model.parameters()):
                raise AgonError("training_failed", f"a weight is not finite at step {state.global_step}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, step: int, steps: int, note: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=step, note=note)
        elif step == steps or step % max(1, steps // LINES) == 0:
            self._talk(f"{self._stage}: step {step} of {steps}, {note}")


def _note(logs: dict[str, Any]) -> str:
    shown = [name for name in ("loss", "reward", "rewards/margins", "kl", "accuracy") if name in logs]
    return ", ".join(f"{name} {float(logs[name]):.3f}" for name in shown)
