"""The command `agon-miner train`: its options, the recipe's settings as flags, and how the report is printed.

`main.py` registers it. Flags that it does not know are the recipe's own settings, read by the same model as
a settings file. It decides nothing; `train/registry.py` trains.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.console import (
    JsonOption,
    command,
    print_fields,
    print_json,
    say,
    with_settings,
)
from shared.errors import AgonError, TransientError
from shared.settings import Settings

if TYPE_CHECKING:
    from miner.train.report import Report
    from shared.checkpoints.bundle import Bundle

FREE_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings of the command: a recipe's settings are its own."""

RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe", "-r", help="sft, reward, grpo, rloo, dpo, rlaif, raft or pipeline.", show_default=False
    ),
]


@command
@with_settings("bundle", "network", "state", "api")
def train(
    settings: Settings,
    context: typer.Context,
    recipe: RecipeOption,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New directory to write.")] = None,
    start: Annotated[
        str, typer.Option("--from", help="base, champion (with --api), or a directory.")
    ] = "base",
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file of the recipe's settings; flags win.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run; its settings must be the same.")
    ] = False,
    list_settings: Annotated[
        bool, typer.Option("--settings", help="List the recipe's settings and leave.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a checkpoint by a recipe. The recipe's settings are flags too: `--learning-rate 1e-4`."""
    from miner.train.recipes import find
    from miner.train.settings import described, read_config, to_toml

    found = find(recipe)
    if list_settings:
        rows = described(found.config)
        print_json(rows) if as_json else print_fields(rows)
        return
    if out is None:
        raise AgonError("usage", "no place to write to", help="pass --out with a new directory")
    read = read_config(found.config, config, context.args)
    from miner.train.registry import train as run
    from miner.train.task import task_of
    from miner.train.workspace import is_main
    from shared.checkpoints.bundle import load_bundle

    loaded = load_bundle(settings.require_bundle(), public=True)
    parent = _parent(settings, loaded, start, out if resume else None)
    talk = say if is_main() else _say_nothing
    talk(to_toml(read))
    report = run(recipe, task_of(loaded, parent), read, out, resume=resume, talk=talk)
    if not is_main():
        return
    _show(report, found.makes == "policy", as_json=as_json)
    if start == "champion" and settings.api:
        _warn_of_a_new_champion(settings.api, report)


def _say_nothing(_: str) -> None:
    """What a process says that is not the first of its run."""


def _parent(settings: Settings, loaded: Bundle, start: str, resumed: Path | None) -> Path | None:
    """Directory to start from; none for the base.

    Raises AgonError `champion_changed` when a run that is resumed began from another champion.
    """
    from miner.dry_run.opponent import find_opponent
    from miner.train.task import checkpoint_digest
    from miner.train.workspace import recorded_parent

    if start not in {"base", "champion"} and not Path(start).is_dir():
        raise AgonError("usage", f"--from takes base, champion or a directory, not {start}")
    parent = find_opponent(settings, loaded, start, settings.api)
    before = recorded_parent(resumed) if start == "champion" and resumed else None
    if before and checkpoint_digest(parent) != before:
        message = f"the champion was {before} when training began and is {checkpoint_digest(parent)} now"
        raise AgonError("champion_changed", message)
    return None if parent == loaded.base else parent


def _warn_of_a_new_champion(api: str, report: Report) -> None:
    from miner.dry_run.opponent import champion_of

    try:
        now = champion_of(api).model
    except TransientError:
        return  # the checkpoint is made; who holds the competition can be asked later
    if now != report.parent:
        say(f"note: {now} became champion meanwhile; a duel will be against it")


def _show(report: Report, is_policy: bool, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    document = report.model_dump(mode="json", exclude={"measures", "held_out"})
    gain = report.held_out
    if gain is not None:
        document["held-out gain"] = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] n={gain.pairs}"
    print_fields({**document, **report.measures})
    if is_policy:
        say(f"\nnext:\n  agon-miner package {report.path} --out package")
