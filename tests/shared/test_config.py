"""`config show` prints every setting with its source, and never a secret."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.config import mask_password
from shared.settings import Settings

READS = re.compile(r"\benviron(\.get\b|\[| if\b)|\bgetenv\b|\benvvar=")
SECRET = "s3cr3t-never-shown"


@pytest.fixture(autouse=True)
def _clean_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.delenv("AGON_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def show(module: str, *arguments: str) -> str:
    app = importlib.import_module(module).app
    done = CliRunner().invoke(app, ["config", "show", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("module", ["miner.cli.main", "validator.cli.main"])
def test_every_setting_is_shown_with_its_source(
    module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "agon.toml").write_text('api = "http://127.0.0.1:8091"\nwallet = "filed"\n')
    monkeypatch.setenv("AGON_NETUID", "8")
    shown = json.loads(show(module, "--json", "--network", "local"))
    assert shown.keys() == Settings.model_fields.keys()
    found = {name: (one["value"], one["source"]) for name, one in shown.items() if one["source"] != "default"}
    assert found == {
        "network": ("local", "flag"),
        "netuid": (8, "environment"),
        "wallet": ("filed", "file"),
        "api": ("http://127.0.0.1:8091", "file"),
    }
    assert shown["api"]["variable"] == "AGON_API"
    assert "wallet         filed  (file)" in show(module)


@pytest.mark.parametrize(
    "variable", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AGON_JUDGE_KEY"]
)
def test_no_secret_is_shown(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, SECRET)
    assert SECRET not in show("miner.cli.main") + show("miner.cli.main", "--json")


def test_the_password_in_a_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGON_LEDGER", f"postgresql+psycopg://agon:{SECRET}@db/agon")
    monkeypatch.setenv("AGON_ARCHIVE", f"wss://me:{SECRET}@node:443,wss://other:443")
    printed = show("validator.cli.main") + show("validator.cli.main", "--json")
    assert SECRET not in printed
    assert "postgresql+psycopg://agon:********@db/agon" in printed
    assert mask_password("sqlite:////tmp/a:b@c.db") == "sqlite:////tmp/a:b@c.db"


def test_a_wrong_setting_is_an_error_with_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGON_NETUID", "many")
    app = importlib.import_module("miner.cli.main").app
    done = CliRunner().invoke(app, ["config", "show", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (2, "settings_invalid")


def test_nothing_but_the_settings_reads_the_environment() -> None:
    root = Path(__file__).parents[2]
    readers = {
        path.relative_to(root).as_posix()
        for package in ("miner", "validator", "shared", "localnet")
        for path in (root / package).rglob("*.py")
        if READS.search(path.read_text(encoding="utf-8"))
    }
    # a child has an environment that its parent made, and the development chain imports nothing of ours
    sandbox = {"shared/sandbox/process.py", "shared/sandbox/worker.py"}
    assert readers - sandbox == {"shared/settings.py", "localnet/cli.py"}
