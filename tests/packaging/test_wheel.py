"""The wheel holds all that the commands need and nothing else, and its commands work away from the source."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Installed

ROOT = Path(__file__).parents[2]
PACKAGES = ("miner", "validator", "shared", "localnet")
COMMANDS = ("agon-miner", "agon-validator", "agon-localnet")


def test_the_wheel_holds_the_four_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected


def test_rules_and_migrations_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert packed >= {
        "shared/competitions/demo.toml",
        "validator/ledger/migrations/env.py",
        "validator/ledger/migrations/script.py.mako",
        "validator/ledger/migrations/versions/v0001_first_schema.py",
    }


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(about).decode()
        scripts = archive.read(about.replace("METADATA", "entry_points.txt")).decode()
    assert "\nLicense-Expression: MIT\n" in text
    assert "\nDescription-Content-Type: text/markdown\n" in text
    assert all(f"{command} = " in scripts for command in COMMANDS)


def test_the_packages_come_from_the_wheel(installed: Installed) -> None:
    program = f"import {', '.join(PACKAGES)}\nfor m in ({', '.join(PACKAGES)}): print(m.__file__)"
    done = installed.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).is_relative_to(installed.environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_helps(installed: Installed, command: str) -> None:
    done = installed.run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {command}" in done.stdout


def test_a_chain_can_be_made_and_read(installed: Installed) -> None:
    made = installed.run("agon-localnet", "start", "--once", "--block-time", "0", "--json", "--path", "c.db")
    shown = installed.run("agon-localnet", "status", "--json", "--path", "c.db")
    assert (made.returncode, shown.returncode) == (0, 0), made.stderr + shown.stderr
    created, found = json.loads(made.stdout), json.loads(shown.stdout)
    assert (created["created"], found["hash"]) == (True, created["hash"])


def test_a_wrong_call_is_an_error_with_help(installed: Installed) -> None:
    done = installed.run("agon-validator", "competition", "show")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: settings_invalid: no bundle was named\nhelp: pass --bundle or set AGON_BUNDLE\n"
    )


def test_the_rules_can_be_read_and_the_ledger_made(installed: Installed) -> None:
    program = (
        "from pathlib import Path\n"
        "import shared.competitions\n"
        "from shared.protocol.loader import read_rules\n"
        "from validator.ledger.database import World, open_ledger\n"
        "print(read_rules(Path(shared.competitions.__path__[0]) / 'demo.toml')['name'])\n"
        "open_ledger('sqlite:///ledger.db', World('0x00', 1, 'hotkey')).close()\n"
    )
    done = installed.run("python", "-c", program)
    assert (done.returncode, done.stdout) == (0, "demo-135m\n"), done.stderr
    assert (installed.workplace / "ledger.db").is_file()
