"""Every command helps quickly, wants a network, and reports errors by code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from miner.cli.main import app

COMMANDS = ("init", "register", "package", "check", "run", "score", "submit", "status", "price")
ON_CHAIN = ("init", "register", "submit", "price")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from miner.cli.main import app\n"
        f"for name in {COMMANDS}: assert CliRunner().invoke(app, [name, '-h']).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'bittensor', 'numpy', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("command", ON_CHAIN)
def test_there_is_no_default_network(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, [command, "--netuid", "1", "--json"] if command != "init" else ["init", "--json"]
    )
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "network_missing"


@pytest.mark.parametrize("command", ON_CHAIN)
def test_an_unknown_network_is_a_usage_error(command: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [command, "-n", "finny"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: network_unknown: there is no network named 'finny'\nhelp: ")


@pytest.mark.parametrize("command", ["register", "submit"])
def test_a_missing_wallet_is_named(command: str, world: Any) -> None:
    result = (
        world.run(command, world.package, "-w", "nobody")
        if command == "submit"
        else world.run(command, "-w", "nobody")
    )
    assert result.exit_code == 1
    assert "error: wallet_missing: wallet nobody/default" in result.stderr


def test_a_missing_chain_is_not_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["price", "-n", "embedded", "--netuid", "1"])
    assert result.exit_code == 1
    assert "error: chain_unreachable: there is no embedded chain" in result.stderr
