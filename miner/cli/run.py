"""The command `agon-miner run`: its options, and the clean end on SIGTERM.

`main.py` registers it. It decides nothing: `miner/run` holds the loop, its journal and its budget.
"""

from __future__ import annotations

import asyncio
import signal
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.console import (
    WHO,
    JsonOption,
    command,
    print_fields,
    print_json,
    say,
    with_settings,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from miner.run.state import RunState

RecipeOption = Annotated[str, typer.Option("--recipe", help="Recipe that trains a checkpoint.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file of the recipe's settings.")]
ChanceOption = Annotated[
    float, typer.Option("--min-chance", min=0, max=1, help="Least estimated chance to submit for.")
]
CostOption = Annotated[
    float, typer.Option("--max-cost", min=0, help="Most TAO to spend in all, by this state directory.")
]
LocatorOption = Annotated[
    str | None, typer.Option("--locator", help="Where to publish; {attempt} is its number.")
]
JudgesOption = Annotated[Path | None, typer.Option("--judges", help="Judges of your own, as for score.")]
PromptsOption = Annotated[int, typer.Option("--prompts", min=4, help="Public prompts to score on.")]
RestOption = Annotated[
    int | None, typer.Option("--rest-blocks", min=1, help="First rest. [a quarter of a round]")
]
PollOption = Annotated[float, typer.Option("--poll", min=0.1, help="Seconds between two questions.")]
AttemptsOption = Annotated[
    int | None, typer.Option("--attempts", min=1, help="End after so many attempts. [never]")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the first attempt.")]


@command
@with_settings(*WHO, "state", "bundle", "api")
async def run(
    settings: Settings,
    recipe: RecipeOption = "dpo",
    config: ConfigOption = None,
    min_chance: ChanceOption = 0.5,
    max_cost: CostOption = 0.0,
    locator: LocatorOption = None,
    judges: JudgesOption = None,
    prompts: PromptsOption = 256,
    rest_blocks: RestOption = None,
    poll: PollOption = 12.0,
    attempts: AttemptsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train, score and submit unattended: submit what has a chance, back off when nothing has."""
    settings.require_network()
    api = settings.require_api()
    from miner.run.context import Limits, open_run_context
    from miner.run.driver import resume
    from miner.run.process import ScoreInChild, TrainInChild
    from miner.run.state import FOLDER
    from shared.locks import sole_process

    limits = Limits(min_chance, Decimal(str(max_cost)), rest_blocks, poll, attempts, seed)
    train = TrainInChild(settings, recipe, config)
    score = ScoreInChild(settings, api, prompts=prompts, judges=judges)
    context = open_run_context(settings, api, locator, limits, train=train, score=score, talk=say)
    with sole_process(settings.state / FOLDER):
        ended = await until_stopped(resume(context))
    document = {"stopped": True} if ended is None else ended.model_dump(mode="json")
    print_json(document) if as_json else print_fields(document)


async def until_stopped(work: Coroutine[None, None, RunState]) -> RunState | None:
    """What `work` returns; none when SIGTERM came first, after which it is cancelled and has ended."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    running, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
    if running.cancelled():
        say("stopped; the same command goes on from the journal")
        return None
    return running.result()
