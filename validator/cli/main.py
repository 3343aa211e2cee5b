"""The `agon-validator` command: run, look at and explain a validator, and own a subnet.

Each command is a thin shell over one function elsewhere; heavy imports happen inside, so that `--help`
answers at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from shared.config import add_config
from shared.console import (
    WHO,
    JsonOption,
    command,
    make_app,
    print_json,
    say,
    with_settings,
)
from shared.logs import set_up_logs
from shared.settings import Settings
from validator.cli.evidence import evidence, replay
from validator.cli.judge import judge_app
from validator.cli.owner import competition_app, subnet_app

if TYPE_CHECKING:
    from validator.context import ValidatorContext

app = make_app("agon-validator", "Score policies with held-out judges and set weights from proven gain.")
add_config(app)
app.add_typer(competition_app)
app.add_typer(subnet_app)
app.add_typer(judge_app)
app.command()(evidence)
app.command()(replay)

LOOP = (*WHO, "bundle", "state", "ledger")
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")]


@app.command()
@command
@with_settings(*LOOP)
async def run(
    settings: Settings,
    verbose: VerboseOption = False,
) -> None:
    """Follow the chain: intake, duels, statements and weights, until interrupted."""
    from validator.loop import run as run_loop

    await _work(settings, run_loop, verbose=verbose)


@app.command()
@command
@with_settings(*LOOP)
async def once(
    settings: Settings,
    verbose: VerboseOption = False,
) -> None:
    """Do everything that is due at the present head, then stop."""
    from validator.loop import run_once

    await _work(settings, run_once, verbose=verbose)


async def _work(
    settings: Settings, loop: Callable[[ValidatorContext], Awaitable[None]], *, verbose: bool
) -> None:
    """Open the context that the settings describe and let `loop` work in it."""
    settings.require_network()
    set_up_logs(settings.log_format, verbose=verbose)
    from validator.wiring import open_context

    async with open_context(settings) as context:
        await loop(context)


@app.command()
@command
@with_settings("state", "ledger", "api_host", "api_port")
def serve(
    settings: Settings,
    block_time: Annotated[float, typer.Option(help="Seconds per block of the chain, for /health.")] = 12.0,
) -> None:
    """Serve scores, verdicts and statements over HTTP, read-only; holds no key."""
    from validator.api.serve import serve as serve_api

    say(f"serving on http://{settings.api_host}:{settings.api_port}, documented at /docs")
    serve_api(settings.ledger_url, settings.api_host, settings.api_port, block_time_s=block_time)


@app.command()
@command
@with_settings("state", "ledger")
def explain(
    settings: Settings,
    who: Annotated[str, typer.Argument(help="A hotkey, a committed digest or a model digest.")],
    as_json: JsonOption = False,
) -> None:
    """Say what became of a submission and why, with the interval and what would have won."""
    from validator.api.answers import find_submissions
    from validator.api.explain import text_of
    from validator.ledger.database import open_reader

    page = open_reader(settings.ledger_url).run(find_submissions, who)
    if as_json:
        print_json(page)
    else:
        typer.echo("\n\n".join(text_of(view) for view in page.items))
