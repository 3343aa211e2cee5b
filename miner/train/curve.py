"""The learning curve of a run as a PNG: one panel for every number that its trainers logged and people read.

Drawn once at the end from the log; it never decides anything. matplotlib is drawn off screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

PANELS = {
    "loss": "loss",
    "reward": "reward",
    "rewards/margins": "margin between chosen and rejected (nats x beta)",
    "accuracy": "pairs in the right order",
    "kl": "KL to the reference (nats per token)",
    "completions/mean_length": "completion length (tokens)",
}
"""Logged name to axis label."""


def draw_curve(history: Sequence[dict[str, Any]], path: Path, *, title: str) -> None:
    """Write the panels that have data; stages follow one another on the x axis."""
    from matplotlib.figure import Figure

    shown = [name for name in PANELS if any(name in row for row in history)] or ["loss"]
    figure = Figure(figsize=(7, 2.2 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    stages = list(dict.fromkeys(row["stage"] for row in history))
    for panel, name in zip(axes, shown, strict=True):
        for stage in stages:
            points = [
                (step, row[name])
                for step, row in enumerate(history, start=1)
                if name in row and row["stage"] == stage
            ]
            if points:
                panel.plot(*zip(*points, strict=True), marker=".", label=stage)
        panel.set_ylabel(PANELS[name], fontsize=7)
        panel.grid(alpha=0.3)
    axes[0].set_title(title)
    axes[0].legend(fontsize=7)
    axes[-1].set_xlabel("optimiser step")
    figure.savefig(path, dpi=120, format="png")
