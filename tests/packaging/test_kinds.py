"""A kind of test that is missing is left out and named, or, where it is required, an error."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = """
import importlib.util, sys
import pytest
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else found(name, *rest)
sys.exit(pytest.main(sys.argv[1:]))
"""
HEAVY = {"torch", "transformers", "trl", "peft"}


def collect(*arguments: str, required: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "--collect-only", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, "AGON_REQUIRE": required},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_kind_is_left_out_and_named() -> None:
    done = collect("tests/engines", "tests/stats/test_queue.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/engines" not in done.stdout
    assert "tests/stats/test_queue.py::" in done.stdout
    assert "not run: tests marked torch (PyTorch is not installed)" in done.stdout


@pytest.mark.parametrize("required", ["torch", "no-such-kind"])
def test_a_required_kind_that_cannot_run_is_an_error(required: str) -> None:
    done = collect("tests/stats/test_queue.py", required=required)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "AGON_REQUIRE" in done.stderr


def test_a_skip_of_a_required_kind_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n\n@pytest.mark.torch\ndef test_it() -> None:\n    pytest.skip('no card')\n"
    )
    plugin = ["-p", "tests.fixtures.kinds", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "AGON_REQUIRE": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed" in done.stdout, done.stdout + done.stderr
    assert "AGON_REQUIRE wants torch" in done.stdout


def test_modules_that_import_a_model_library_say_so() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if _imports(path) & HEAVY and "pytest.mark.torch" not in path.read_text(encoding="utf-8")
    ]
    assert silent == []


def _imports(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = [
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    return {name.partition(".")[0] for name in names}
