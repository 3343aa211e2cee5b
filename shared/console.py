"""What the command lines of miner and validator have in common: options, output, errors, exit codes.

Every `cli` module builds its commands from it. stdout carries data (text, or one JSON document with
`--json`), stderr carries talk. It decides nothing and imports nothing heavy, so `--help` stays quick.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import typer
from pydantic import BaseModel

from shared.errors import USAGE_CODES, AgonError
from shared.logs import set_up_logs
from shared.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


COMMAND_PREFIX = "agon-"


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FAULTS_FOUND = 3
    INTERRUPTED = 130


SETTING_OPTIONS: Mapping[str, Any] = {
    "network": Annotated[
        str | None,
        typer.Option(
            "--network", "-n", help="embedded, local, test, finney or a ws:// URL. [env: BT_NETWORK]"
        ),
    ],
    "wallet": Annotated[
        str | None, typer.Option("--wallet", "-w", help="Wallet that holds the coldkey. [env: BT_WALLET]")
    ],
    "wallet_hotkey": Annotated[
        str | None,
        typer.Option("--wallet-hotkey", "-H", help="Hotkey in that wallet. [env: BT_WALLET_HOTKEY]"),
    ],
    "wallet_path": Annotated[
        Path | None, typer.Option("--wallet-path", help="Directory of all wallets. [env: BT_WALLET_PATH]")
    ],
    "netuid": Annotated[int | None, typer.Option("--netuid", help="Subnet number. [env: AGON_NETUID]")],
    "state": Annotated[
        Path | None, typer.Option("--state", help="Directory for this process's files. [env: AGON_STATE]")
    ],
    "bundle": Annotated[
        Path | None,
        typer.Option("--bundle", help="Directory of the competition's bundle. [env: AGON_BUNDLE]"),
    ],
    "ledger": Annotated[
        str | None, typer.Option("--ledger", help="SQLAlchemy URL of the ledger. [env: AGON_LEDGER]")
    ],
    "api": Annotated[str | None, typer.Option("--api", help="Address of a validator's API. [env: AGON_API]")],
    "api_host": Annotated[
        str | None, typer.Option("--host", help="Address to listen on. [env: AGON_API_HOST]")
    ],
    "api_port": Annotated[int | None, typer.Option("--port", help="Port to listen on. [env: AGON_API_PORT]")],
}
"""Options of the settings that a command line can set."""
WHO = ("network", "wallet", "wallet_hotkey", "wallet_path", "netuid")
"""Settings of a command that acts on a subnet with keys."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending or writing.")]


def make_app(name: str, help: str) -> typer.Typer:
    """A command group with the manners of all: `-h`, help without arguments, no locals in tracebacks.

    A command of its own, as its name tells, also knows `--version`.
    """
    app = typer.Typer(
        name=name,
        help=help,
        no_args_is_help=True,
        rich_markup_mode=None,  # help lines hold [env: NAME], which markup would swallow
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    if name.startswith(COMMAND_PREFIX):
        app.callback()(_with_version)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("agon"))
        raise typer.Exit


def _with_version(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Options that stand before any command."""


def command(function: Callable[P, Any]) -> Callable[P, Any]:
    """The one border where errors become output: put it under `@app.command()`.

    Runs the function (an async one in a fresh event loop). An AgonError is printed on stderr, or as JSON
    on stdout when the command's `as_json` parameter is set, and ends the process with its exit code.
    Other exceptions are bugs and pass. Log lines go to stderr, so that stdout stays free for data.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        set_up_logs("console")
        try:
            result = function(*args, **kwargs)
            return asyncio.run(result) if inspect.iscoroutine(result) else result
        except AgonError as error:
            fail(error, as_json=bool(kwargs.get("as_json")))
        except (KeyboardInterrupt, asyncio.CancelledError):
            typer.echo("interrupted", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    return run


def with_settings(*names: str) -> Callable[[Callable[Concatenate[Settings, P], R]], Callable[..., R]]:
    """Give a command the options of these settings, and its first parameter the settings that result.

    Put it under `@command`, so that a wrong setting is told like any error.
    """

    def decorate(function: Callable[Concatenate[Settings, P], R]) -> Callable[..., R]:
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            flags = {name: kwargs.pop(name, None) for name in names}
            return function(Settings.load(**flags), *args, **kwargs)

        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        given = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SETTING_OPTIONS[name]
            )
            for name in names
        ]
        every = [*(part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in own), *given]
        functools.update_wrapper(run, function)
        run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        run.__annotations__ = {part.name: part.annotation for part in every}
        return run

    return decorate


def fail(error: AgonError, *, as_json: bool) -> NoReturn:
    """Print `error` as rustc would, or as JSON, and end the command with its exit code."""
    if as_json:
        print_json({"error": error.to_dict()})
    else:
        typer.secho(f"error: {error.code}: {error.message}", err=True, fg="red")
        typer.echo(f"help: {error.help}", err=True)
    raise typer.Exit(ExitCode.USAGE if error.code in USAGE_CODES else ExitCode.FAILED)


def say(text: str) -> None:
    """Talk to the person at the terminal, on stderr."""
    typer.echo(text, err=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout, of plain data, models and dataclasses; Decimals become strings.

    Raises ValueError for numbers that are not finite, TypeError for what has no JSON form.
    """
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path | Decimal):
        return str(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def print_fields(fields: Mapping[str, Any]) -> None:
    """Aligned `name  value` lines on stdout; a value of None is shown as a dash."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        typer.echo(f"{name:<{width}}  {'-' if value is None else value}")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before spending; `yes` answers for the user. A refusal ends the command with exit code 1."""
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(ExitCode.FAILED)
