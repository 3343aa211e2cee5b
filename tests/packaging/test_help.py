"""Every `--help` of every command answers without loading a machine learning library or the chain's SDK."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import importlib, json, sys
import typer
from typer.testing import CliRunner

app = importlib.import_module(sys.argv[1]).app
runner = CliRunner()

def visit(command, words):
    result = runner.invoke(app, [*words, "--help"])
    assert result.exit_code == 0, (words, result.output)
    asked.append(" ".join(words))
    for name, child in getattr(command, "commands", {}).items():
        visit(child, [*words, name])

asked = []
visit(typer.main.get_command(app), [])
heavy = {"torch", "transformers", "bittensor", "trl", "scipy", "web3"} & set(sys.modules)
heavy |= {"huggingface_hub", "botocore"} & set(sys.modules)
print(json.dumps({"asked": asked, "heavy": sorted(heavy)}))
"""

COMMANDS = {
    "miner.cli.main": {"init", "register", "package", "check", "submit", "status"},
    "validator.cli.main": {"run", "serve", "explain", "competition show", "subnet init"},
    "localnet.cli": {"start", "status", "advance", "accounts", "reset"},
}


@pytest.mark.parametrize("module", sorted(COMMANDS))
def test_help_imports_nothing_heavy(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module], capture_output=True, text=True, check=True, timeout=120
    )
    answer = json.loads(done.stdout)
    assert answer["heavy"] == []
    assert set(answer["asked"]) >= COMMANDS[module]
