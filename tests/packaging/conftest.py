"""Agon as a user gets it: a wheel in a second environment, which borrows the libraries of the first."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """The wheel, the environment it is in, and an empty directory to work in."""

    wheel: Path
    environment: Path
    workplace: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the empty directory, with no settings from outside."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AGON_", "BT_", "PYTHON", "VIRTUAL_ENV"))
        }
        return subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.workplace,
            env={**inherited, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without a network."""
    out = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out, ROOT)
    (made,) = out.glob("agon-*.whl")
    return made


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own; an editable install elsewhere has no say there."""
    place = tmp_path_factory.mktemp("installed")
    environment, workplace = place / "venv", place / "empty"
    workplace.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    _pip("--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel)
    # last, or pip would take the borrowed libraries for its own; a .pth found through a .pth is not read
    (own,) = environment.glob("lib/python3*/site-packages")
    borrowed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (own / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return Installed(wheel, environment, workplace)


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
