"""The benchmark of recipes runs from end to end with two-layer models and prints one whole table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.torch]

ROOT = Path(__file__).parents[2]
RECIPES = ("sft", "raft", "dpo online", "rlaif", "pipeline")


def test_every_recipe_has_a_row_of_numbers(tmp_path: Path) -> None:
    options = ("--tiny", "--seeds", "1", "--prompts", "12", "--held-out", "8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/models/recipes.py"), *options, "--recipes", *RECIPES],
        env={**os.environ, "AGON_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in rows] == ["recipe", *RECIPES]
    assert "nan" not in done.stdout
