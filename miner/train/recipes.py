"""All recipes by name: their settings and the function that runs them.

A recipe's module is imported when it is asked for, because it may pull in torch. To add a recipe, write one
file with a `TrainConfig` and a `run` function, and name them here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from miner.train.report import Outcome
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.workspace import Workspace
from shared.errors import AgonError

Makes = Literal["policy", "judge"]


@dataclass(frozen=True)
class Recipe:
    """A recipe by name."""

    name: str
    config: type[TrainConfig]
    run: Callable[[TrainingTask, Any, Workspace], Outcome]
    makes: Makes


PLACES: dict[str, tuple[str, str, str, Makes]] = {
    "sft": ("sft", "SftConfig", "run_sft", "policy"),
    "reward": ("reward", "RewardConfig", "run_reward", "judge"),
    "grpo": ("grpo", "GrpoConfig", "run_grpo", "policy"),
    "rloo": ("grpo", "RlooConfig", "run_grpo", "policy"),
    "dpo": ("dpo", "DpoConfig", "run_dpo", "policy"),
    "rlaif": ("rlaif", "RlaifConfig", "run_rlaif", "policy"),
    "raft": ("raft", "RaftConfig", "run_raft", "policy"),
    "pipeline": ("pipeline", "PipelineConfig", "run_pipeline", "policy"),
}
"""Module, settings, function and product of each recipe."""
EXTRA = ("trl", "peft", "accelerate", "datasets", "matplotlib")
"""Packages of the extra `train`."""


def find(name: str) -> Recipe:
    """The recipe called `name`. Raises AgonError `usage` for an unknown one, `extra_missing`."""
    if name not in PLACES:
        raise AgonError("usage", f"no recipe is called {name!r}", help=f"recipes: {', '.join(PLACES)}")
    file, config, run, makes = PLACES[name]
    missing = [package for package in EXTRA if find_spec(package) is None]
    if missing:
        raise AgonError("extra_missing", f"training needs {', '.join(missing)}")
    module = import_module(f"miner.train.{file}")
    return Recipe(name, getattr(module, config), getattr(module, run), makes)
