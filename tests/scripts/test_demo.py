"""The demo with two-layer models: every role ends as it must, and only the honest miner is paid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch


def play(root: Path, seed: int) -> dict[str, Any]:
    """Run the TINY demo in its own directory and return its summary."""
    command = [
        sys.executable,
        "-m",
        "scripts.demo",
        "--tiny",
        "--port",
        "0",
        "--seed",
        str(seed),
        "--root",
        str(root / "demo"),
    ]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "AGON_CACHE": str(root / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    summary: dict[str, Any] = json.loads((root / "demo" / "summary.json").read_text())
    return summary


def commands_naming(path: Path) -> list[str]:
    """Command lines of living processes that name `path`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if str(path) in line]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stopped_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    command = [sys.executable, "-m", "scripts.demo", "--tiny", "--root", str(root)]
    environment = {**os.environ, "AGON_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as demo:
        while not (root / "logs" / "part-judges.log").exists() and demo.poll() is None:
            time.sleep(0.05)
        demo.terminate()
    assert demo.returncode == 130
    assert commands_naming(root) == []


def require_fair_end(summary: dict[str, Any], hostile_code: str) -> None:
    roles = summary["roles"]
    assert {name: (found["verdict"], found["reason"]) for name, found in roles.items()} == {
        "honest": ("won", "confirmed"),
        "copycat": ("rejected", "duplicate"),
        "noised_copy": ("unproven", "indistinguishable"),
        "degenerate": (roles["degenerate"]["verdict"], roles["degenerate"]["reason"]),
        "hostile": ("rejected", hostile_code),
    }
    assert roles["degenerate"]["verdict"] in {"lost", "unproven"}
    low, high = roles["honest"]["interval"]
    assert low < roles["honest"]["mean"] < high
    assert roles["honest"]["gain"] > 0
    hotkeys = summary["hotkeys"]
    assert summary["incentive"].keys() - {hotkeys["owner"]} == {hotkeys["honest"]}
    assert summary["weights"].keys() - {hotkeys["owner"]} == {hotkeys["honest"]}
    assert sum(summary["weights"].values()) == pytest.approx(1.0)
    assert {judge["name"] for judge in summary["judges"]} == {"proxy", "held-out"}
    assert summary["seconds"] == pytest.approx(sum(summary["stages"].values()), abs=0.1)


@pytest.mark.early
@pytest.mark.timeout(900)
def test_only_the_honest_miner_is_paid(tmp_path: Path) -> None:
    require_fair_end(play(tmp_path, seed=0), "non_finite_weights")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("seed", "hostile_code"), [(1, "file_forbidden"), (2, "architecture_mismatch"), (3, "non_finite_weights")]
)
def test_other_seeds_end_as_fairly(tmp_path: Path, seed: int, hostile_code: str) -> None:
    require_fair_end(play(tmp_path, seed), hostile_code)
