"""The figure of `overoptimisation.py`: rises under both judges against sqrt(KL), with the fitted curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.sim.gao import Curve
from benchmarks.sim.simulation import Floats

COLOURS = {"proxy": "#b45309", "held-out": "#1d4ed8"}
TITLES = {"best-of-n": "best of n by the proxy", "rl": "DPO on the proxy alone"}

Panel = tuple[str, Floats, dict[str, Floats], dict[str, Curve], Sequence[bool]]
"""Form, sqrt(KL) of each point, rises by judge, fitted curves by judge, and whether the alarm rings."""


def draw_figure(panels: Sequence[Panel], kl_budget: float, path: Path) -> None:
    """Write an SVG file; the same points give the same bytes."""
    # SVG identifiers are random, and the file dated, unless this is set
    with mpl.rc_context({"svg.hashsalt": "agon", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        for axes, (form, d, rises, fits, alarms) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            grid = np.linspace(1e-3, float(d.max()) * 1.05 + 1e-3, 200)
            for judge, rise in rises.items():
                axes.plot(d, rise, "o", color=COLOURS[judge], markersize=4, label=judge)
                axes.plot(grid, fits[judge].at(grid), "-", color=COLOURS[judge], linewidth=1, alpha=0.7)
            if any(alarms):
                first = float(d[list(alarms).index(True)])
                axes.axvline(first, color="#b91c1c", linestyle="--", linewidth=1, label="gap alarm")
            if math.sqrt(kl_budget) <= grid[-1]:
                axes.axvline(math.sqrt(kl_budget), color="#525252", linestyle=":", label="KL budget")
            axes.axhline(0, color="#a3a3a3", linewidth=0.6)
            axes.set(title=TITLES[form], xlabel="sqrt(KL to the base), nats", ylabel="rise, sd of the base")
            axes.legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
