"""The model benchmarks run from end to end with two-layer models and print whole tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.torch]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for both: the tiny competition is built once."""
    return tmp_path_factory.mktemp("cache")


def _print(cache: Path, name: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "models" / f"{name}.py"), "--tiny", *options],
        env={**os.environ, "AGON_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
        cwd=cache,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_variance_prints_its_tables(cache: Path) -> None:
    printed = _print(cache, "variance", "--prompts", "4")
    assert [line.split(" ")[1] for line in printed.splitlines() if line.startswith("## ")] == [
        "Pair",
        "Variance",
        "Designs:",
        "Assumed",
        "Flips",
        "Judges:",
    ]
    assert "nan" not in printed


def test_overoptimisation_prints_stores_and_draws(cache: Path) -> None:
    assert "nan" not in _print(cache, "overoptimisation", "--json", "run.json")
    printed = _print(cache, "overoptimisation", "--from", "run.json", "--figure", "run.svg")
    assert re.search(r"\| rl \| held-out \|", printed)
    assert (cache / "run.svg").read_text().lstrip().startswith("<?xml")
