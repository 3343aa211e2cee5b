"""Command line of the embedded chain: `agon-localnet`.

Creates, runs, shows and throws away a development chain file. stdout carries data, stderr carries talk;
heavy imports happen inside the commands, so that `--help` stays quick.
"""

from __future__ import annotations

import functools
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

if TYPE_CHECKING:
    from localnet.chain import Chain
    from localnet.parameters import Genesis

P = ParamSpec("P")
DEFAULT_PATH = Path(".agon/localnet.db")
FAILED, USAGE, INTERRUPTED = 1, 2, 130

PathOption = Annotated[
    Path, typer.Option("--path", "-p", envvar="AGON_LOCALNET", help="The chain file.", show_default=True)
]
PresetOption = Annotated[str, typer.Option("--preset", help="Rules of a new chain: dev or mainnet-like.")]
GenesisOption = Annotated[Path | None, typer.Option("--genesis", help="A genesis.toml instead of a preset.")]
BlockTimeOption = Annotated[
    float | None, typer.Option("--block-time", help="Seconds per block of a new chain; 0 seals on demand.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

app = typer.Typer(
    name="agon-localnet",
    help="A Bittensor development chain in one file, shared by any number of processes.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class LocalnetError(Exception):
    """What a user can cause: a code for programs, a message, and what to do about it."""

    def __init__(self, code: str, message: str, help: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.exit_code = code, message, help, exit_code


def _command(function: Callable[P, None]) -> Callable[P, None]:
    """The one border where errors become output and exit codes."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except LocalnetError as error:
            if kwargs.get("as_json"):
                fields = {"code": error.code, "message": error.message, "help": error.help}
                typer.echo(json.dumps({"error": fields}, indent=2))
            else:
                typer.secho(f"error: {error.code}: {error.message}", err=True, fg="red")
                typer.echo(f"help: {error.help}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None

    return run


@app.command()
@_command
def start(
    *,
    path: PathOption = DEFAULT_PATH,
    preset: PresetOption = "dev",
    genesis: GenesisOption = None,
    block_time: BlockTimeOption = None,
    once: Annotated[bool, typer.Option("--once", help="Create the file and leave; run nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the chain if there is none, and make its blocks until Ctrl-C.

    An existing chain goes on under the rules it was born with. Other processes make due blocks too:
    this command only keeps the chain moving while nobody else looks at it.
    """
    from localnet.genesis import create_chain

    created = not path.exists()
    if created:
        create_chain(path, _read_genesis(preset, genesis, block_time))
    chain = _open(path)
    _show({"path": str(path), "created": created, **_describe(chain)}, as_json=as_json)
    if not once:
        _produce(chain)
    chain.close()


@app.command()
@_command
def status(path: PathOption = DEFAULT_PATH, as_json: JsonOption = False) -> None:
    """Show the head, the rules and the subnets. Makes no block."""
    chain = _open(path)
    _show({"path": str(path), **_describe(chain)}, as_json=as_json)
    chain.close()


@app.command()
@_command
def advance(
    count: Annotated[int, typer.Argument(min=1, help="How many blocks to make.")],
    path: PathOption = DEFAULT_PATH,
    as_json: JsonOption = False,
) -> None:
    """Make COUNT blocks at once, whatever the clock says."""
    chain = _open(path)
    head = chain.advance(count)
    _show({"made": count, "head": head, "hash": chain.hash_of(head)}, as_json=as_json)
    chain.close()


@app.command()
@_command
def accounts(path: PathOption = DEFAULT_PATH, as_json: JsonOption = False) -> None:
    """List the funded development accounts and their free balances in rao."""
    from localnet.ledger import free_rao
    from localnet.parameters import dev_accounts

    chain = _open(path)
    named = {address: uri for uri, address in dev_accounts().items()}
    addresses = [*named, *(a for a in chain.genesis.extra if a not in named)]
    free = chain.read(None, lambda state: [free_rao(state, address) for address in addresses])
    rows = [
        {"name": named.get(address, ""), "ss58": address, "free_rao": rao}
        for address, rao in zip(addresses, free, strict=True)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            typer.echo(f"{row['name']:<10} {row['ss58']} {row['free_rao']:>18}")
    chain.close()


@app.command()
@_command
def reset(
    *,
    path: PathOption = DEFAULT_PATH,
    preset: PresetOption = "dev",
    genesis: GenesisOption = None,
    block_time: BlockTimeOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Throw the chain away and create a new one. Stop the processes that use it first."""
    from localnet.genesis import create_chain, remove_chain

    _open(path).close()
    rules = _read_genesis(preset, genesis, block_time)
    if not yes and not typer.confirm(f"throw away {path}?", err=True):
        raise typer.Exit(FAILED)
    remove_chain(path)
    create_chain(path, rules)
    chain = _open(path)
    _show({"path": str(path), "created": True, **_describe(chain)}, as_json=as_json)
    chain.close()


def _read_genesis(preset: str, file: Path | None, block_time: float | None) -> Genesis:
    from pydantic import ValidationError

    from localnet.parameters import PRESETS, Genesis

    overrides = {} if block_time is None else {"block_time_s": block_time}
    try:
        if file is not None:
            return Genesis.load(file, **overrides)
        return Genesis.preset(preset, **overrides)
    except FileNotFoundError:
        raise LocalnetError(
            "no_genesis", f"there is no file {file}", "give an existing path", USAGE
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{where}: {first['msg'].lower()}"
        raise LocalnetError("bad_genesis", message, "fields are those of localnet.Genesis", USAGE) from None
    except ValueError as error:
        help_line = f"presets are {', '.join(sorted(PRESETS))}; a genesis file is TOML"
        raise LocalnetError("bad_genesis", str(error), help_line, USAGE) from None


def _open(path: Path) -> Chain:
    import sqlite3

    from localnet.chain import Chain

    if not path.is_file():
        help_line = f"create it with `agon-localnet start --path {path}`, or name another with --path"
        raise LocalnetError("no_chain", f"there is no chain at {path}", help_line)
    try:
        return Chain(path)
    except (sqlite3.DatabaseError, ValueError) as error:
        help_line = "move the file away; `agon-localnet start` then creates a new chain"
        raise LocalnetError(
            "bad_chain", f"{path} is not a chain of this version: {error}", help_line
        ) from None


def _describe(chain: Chain) -> dict[str, Any]:
    from localnet.epoch import next_epoch_block
    from localnet.store import State
    from localnet.subnets import neuron_count, subnet_ids

    def read_subnets(state: State) -> list[dict[str, int]]:
        return [
            {"netuid": n, "neurons": neuron_count(state, n), "next_epoch": next_epoch_block(state, n)}
            for n in subnet_ids(state)
        ]

    head = chain.head()
    return {
        "head": head,
        "hash": chain.hash_of(head),
        "genesis_hash": chain.genesis_hash,
        "block_time_s": chain.genesis.block_time_s,
        "tempo": chain.genesis.tempo,
        "subnets": chain.read(head, read_subnets),
    }


def _produce(chain: Chain) -> None:
    """Make due blocks until SIGTERM (returns) or Ctrl-C (KeyboardInterrupt)."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    typer.echo("making blocks; Ctrl-C stops", err=True)
    wait_s = min(0.25, max(0.002, chain.genesis.block_time_s / 8))
    while not stopped.wait(wait_s):
        chain.make_due_block()


def _show(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(fields, indent=2))
        return
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        typer.echo(f"{name:<{width}}  {value}")
