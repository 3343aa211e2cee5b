"""One training of the unattended loop, in a process of its own: a job in, a report or an error out.

`process.py` starts it with the job as its only argument. A later attempt takes another seed, and more
prompts where its recipe counts them.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from miner.train.recipes import find
from miner.train.registry import train
from miner.train.settings import ConfigT, TrainConfig, read_config
from miner.train.task import task_of
from shared.checkpoints.bundle import load_bundle
from shared.console import ExitCode, print_json
from shared.errors import AgonError
from shared.protocol.loader import field_errors

GROWTH = 1.5
"""Factor on the prompts that a recipe samples, for every failure before."""


class TrainingJob(BaseModel, frozen=True, extra="forbid"):
    """What one training is asked for."""

    recipe: str
    config: Path | None
    """TOML file of the recipe's settings; its defaults without one."""
    bundle: Path
    start: Path
    target: Path
    seed: int
    failures: int


def work(job: TrainingJob) -> dict[str, Any]:
    """Train, or go on training. Raises AgonError as `registry.train`, `usage` for a recipe of judges."""
    recipe = find(job.recipe)
    if recipe.makes != "policy":
        raise AgonError("usage", f"recipe {job.recipe} makes a judge, not a policy")
    loaded = load_bundle(job.bundle, public=True)
    start = None if job.start.resolve() == loaded.base.resolve() else job.start
    task = task_of(loaded, start)
    asked = read_config(recipe.config, job.config, [])
    most = len(task.prompts) - asked.held_out
    config = grow(asked, most=most, seed=job.seed, failures=job.failures)
    report = train(job.recipe, task, config, job.target, resume=True, talk=_talk)
    return report.model_dump(mode="json")


def grow(config: ConfigT, *, most: int, seed: int, failures: int) -> ConfigT:
    """The settings of one attempt: its own seed, and after failures more prompts, up to `most`.

    The stages of a pipeline grow with it.
    """
    changes: dict[str, Any] = {"seed": seed}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, TrainConfig):
            changes[name] = grow(value, most=most, seed=seed, failures=failures)
        elif name == "prompts" and isinstance(value, int):
            changes[name] = min(max(most, value), round(value * GROWTH**failures))
    return config.model_copy(update=changes)


def _talk(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argument: str) -> int:
    """Do the job in `argument` and print what came of it; returns the exit code."""
    try:
        with redirect_stdout(sys.stderr):  # trainers print: stdout is for the one document
            report = work(TrainingJob.model_validate_json(argument))
        print_json(report)
    except ValidationError as error:
        print_json({"error": AgonError("usage", field_errors(error)).to_dict()})
        return ExitCode.USAGE
    except AgonError as error:
        print_json({"error": error.to_dict()})
        return ExitCode.FAILED
    return ExitCode.DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
