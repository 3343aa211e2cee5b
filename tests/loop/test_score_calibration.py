"""The calibration benchmark runs, and its ends are foreseen: the base never wins, the tuned policy does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.models.score_calibration import make_better, print_trials, run_trials
from shared.checkpoints.bundle import Bundle, load_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.torch]


def test_the_ends_are_foreseen(tiny_bundle: Bundle, tiny_judge: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(tiny_bundle.root, tmp_path / "bundle")
    shutil.copytree(tiny_judge, tmp_path / "bundle" / "public" / "proxy")
    bundle = load_bundle(tmp_path / "bundle")
    better = make_better(tmp_path, bundle)
    trials = run_trials(tmp_path, bundle, better, (0.0, 1.0), seeds=1, runs=50)
    assert [trial.wins for trial in trials] == [0, 1]
    assert trials[0].foreseen.chance == 0.0
    assert trials[1].foreseen.chance > 0.5
    print_trials(trials, 1)
    first, second = capsys.readouterr().out.split("\n## ")[1:]
    assert first.count("\n|") == 4
    assert second.count("\n|") == 10
