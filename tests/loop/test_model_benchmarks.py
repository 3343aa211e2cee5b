"""The model benchmarks measure a competition of two-layer models from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.models import overoptimisation, variance
from benchmarks.sim.arena import Arena
from benchmarks.sim.optimised import restore, store
from benchmarks.sim.proxy_training import Recipe
from shared.checkpoints.bundle import Bundle

pytestmark = pytest.mark.torch

EFFORT = overoptimisation.Effort(
    prompts=3,
    best_of=4,
    recipe=Recipe(prompts=4, samples=4, pairs=2, learning_rate=3e-3),
    checkpoints=(1, 2),
)


def test_every_source_of_noise_is_printed(
    tiny_bundle: Bundle, better: Path, tiny_judge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variance.measure(Arena(tiny_bundle, better, tiny_judge), count=3)
    printed = capsys.readouterr().out
    heads = [line.split(" ")[1] for line in printed.splitlines() if line.startswith("## ")]
    assert heads == ["Pair", "Variance", "Designs:", "Assumed", "Flips", "Judges:"]
    assert "nan" not in printed


def test_a_miner_of_the_proxy_is_followed_and_drawn(
    tiny_bundle: Bundle, better: Path, tiny_judge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arena = Arena(tiny_bundle, better, tiny_judge)
    runs = overoptimisation.run(arena, EFFORT, keep=lambda _: None)
    assert {name: [point.label for point in points] for name, points in runs.items()} == {
        "best-of-n": ["1", "2", "4"],
        "rl": ["0", "1", "2"],
    }
    assert runs["rl"][-1].kl.mean() != 0
    store(runs, tmp_path / "run.json")
    for name in ("one.svg", "two.svg"):
        overoptimisation.show(restore(tmp_path / "run.json"), kl_budget=30.0, figure=tmp_path / name)
    assert "nan" not in capsys.readouterr().out
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
