"""Errors become one sentence, one help line and an exit code, at one border."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from shared.console import JsonOption, command, make_app, print_json, with_settings
from shared.errors import AgonError, Rejection
from shared.settings import Settings

app = make_app("sample", "A sample.")


@app.command()
@command
def fails(kind: str, as_json: JsonOption = False) -> None:
    """Fail in the named way."""
    if kind == "usage":
        raise AgonError("network_missing", "no network was named")
    if kind == "miner":
        raise Rejection("locator_invalid", "locator is odd")
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "found":
        raise typer.Exit(3)
    print_json({"kind": kind})


@app.command()
@command
async def waits(as_json: JsonOption = False) -> None:
    """Fail while waiting."""
    raise AgonError("chain_unreachable", "nobody answers")


@app.command()
@command
@with_settings("network", "netuid")
def where(settings: Settings, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
    """Say where."""
    print_json({"network": settings.network, "netuid": settings.netuid, "loud": loud})


@pytest.mark.parametrize(
    ("kind", "code"), [("usage", 2), ("miner", 1), ("interrupt", 130), ("found", 3), ("fine", 0)]
)
def test_exit_code_tells_how_it_ended(kind: str, code: int) -> None:
    assert CliRunner().invoke(app, ["fails", kind]).exit_code == code


def test_error_is_worded_for_people_or_for_machines() -> None:
    people = CliRunner().invoke(app, ["waits"])
    assert (people.exit_code, people.stdout) == (1, "")
    assert people.stderr.splitlines() == [
        "error: chain_unreachable: nobody answers",
        "help: the chain endpoint did not answer; it will be asked again",
    ]
    machines = CliRunner().invoke(app, ["waits", "--json"])
    assert machines.stderr == ""
    assert json.loads(machines.stdout) == {
        "error": {
            "code": "chain_unreachable",
            "message": "nobody answers",
            "help": "the chain endpoint did not answer; it will be asked again",
            "fault": "network",
        }
    }


def test_a_setting_comes_from_its_flag_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BT_NETWORK", "test")
    monkeypatch.setenv("AGON_NETUID", "3")
    shown = CliRunner().invoke(app, ["where", "--netuid", "5", "--loud"])
    assert json.loads(shown.stdout) == {"network": "test", "netuid": 5, "loud": True}


def test_a_wrong_setting_is_worded_like_any_error() -> None:
    wrong = CliRunner().invoke(app, ["where", "--netuid", "0"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: settings_invalid: ")


def test_numbers_that_are_not_finite_are_never_printed() -> None:
    with pytest.raises(ValueError):
        print_json({"score": float("nan")})


@dataclass(frozen=True)
class Price:
    """Money, as commands hand it to the printer."""

    price_tao: Decimal


def test_money_is_printed_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"steps": [Price(Decimal("0.000500001"))]})
    assert json.loads(capsys.readouterr().out) == {"steps": [{"price_tao": "0.000500001"}]}


def test_importing_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, shared.console, shared.settings, shared.logs\n"
        "print(sorted({'torch', 'bittensor', 'transformers', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _named(name: str) -> typer.Typer:
    app = make_app(name, "Two commands.")
    app.command("one")(lambda: None)
    app.command("two")(lambda: None)
    return app


def test_commands_tell_their_version_and_groups_below_them_do_not() -> None:
    run = CliRunner().invoke
    assert run(_named("agon-thing"), ["--version"]).stdout == version("agon") + "\n"
    assert run(_named("part"), ["--version"]).exit_code == 2
