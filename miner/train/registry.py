"""One door to all recipes: `train` runs one from start to a finished checkpoint, or refuses with a reason.

The command line, the miner's loop and benchmarks call it. Around every recipe it does the same: compares
the run with the interrupted one, measures the gain on held-out prompts, and leaves settings, log, curve,
lineage and report beside the weights. Recipes are imported when they are asked for.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from miner.submit.package import LINEAGE_NAME
from miner.train.recipes import Recipe, find
from miner.train.report import Gain, Outcome, Report, ends, peak_rss_bytes
from miner.train.settings import TrainConfig, to_toml
from miner.train.task import TrainingTask, checkpoint_digest
from miner.train.workspace import IDENTITY_NAME, LOG_NAME, Talk, Workspace, is_main, meet, require_same
from shared.checkpoints.files import hash_file, write_whole
from shared.checkpoints.manifest import build_manifest
from shared.errors import AgonError
from shared.protocol.manifest import Lineage
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json, digest_of
from shared.types import Digest

CONFIG_NAME = "recipe.toml"
REPORT_NAME = "report.json"
CURVE_NAME = "curve.png"


def train(
    recipe: str,
    task: TrainingTask,
    config: TrainConfig,
    target: Path,
    *,
    resume: bool = False,
    talk: Talk = lambda _: None,
) -> Report:
    """Run a recipe and write the new directory `target`; with `resume` go on where a kill left it.

    Raises AgonError `usage` when `target` exists or an unfinished run is in the way, `resume_mismatch`,
    `data_invalid`, `out_of_memory`, or `training_failed` naming step and last good checkpoint. After an
    error there is no `target`; what was done is kept for `resume`.
    """
    chosen = find(recipe)
    if not isinstance(config, chosen.config):
        raise AgonError("usage", f"{recipe} wants a {chosen.config.__name__}")
    _be_quiet()
    target = target.absolute()
    identity = identify(recipe, task, config)
    if target.exists():
        return _finished(target, identity, resume=resume)
    began = time.monotonic()
    if config.threads:
        import torch

        torch.set_num_threads(config.threads)
    space = Workspace(target, talk)
    space.open(identity, resume=resume)
    seen, held_out = split_prompts(task.prompts, config.held_out)
    try:
        with enough_memory():
            outcome = chosen.run(replace(task, prompts=seen), config, space)
            if held_out:
                talk(f"measuring on {len(held_out)} held-out prompts")
            gain, kl = _measure(chosen, task, outcome, held_out, config)
    except AgonError:
        space.close_unless_begun()
        raise
    report = _report(identity, outcome, space, target, time.monotonic() - began)
    report = report.model_copy(update={"held_out": gain, "kl": kl})
    meet()  # all have read what is about to be moved
    if is_main():
        write_beside(outcome.result, chosen, config, identity, report)
        draw_and_log(space, outcome.result)
        _deliver(space, outcome)
    meet()
    return report


def _be_quiet() -> None:
    """Leave the terminal to our own progress lines."""
    import warnings

    from datasets import disable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    disable_progress_bars()
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)


def identify(recipe: str, task: TrainingTask, config: TrainConfig) -> dict[str, Any]:
    """What makes two runs the same one: recipe, settings, parent, and the digest of every input."""
    values = config.model_dump(mode="json")
    files = {name: Path(value) for name, value in _paths(config)}
    return {
        "recipe": recipe,
        "config": values,
        "parent": checkpoint_digest(task.parent),
        "inputs": {
            "base": build_manifest(task.base).digest,
            "prompts": digest_of([prompt.model_dump(mode="json") for prompt in task.prompts]),
            "proxy": build_manifest(task.proxy).digest,
            "sampling": digest_of(task.sampling),
            **{name: _digest_of_path(name, path) for name, path in files.items()},
        },
    }


def _paths(config: Any, prefix: str = "") -> Iterator[tuple[str, Path]]:
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Path):
            yield prefix + name, value
        elif isinstance(value, TrainConfig):
            yield from _paths(value, f"{prefix}{name}.")


def _digest_of_path(name: str, path: Path) -> Digest:
    try:
        if path.is_dir():
            return build_manifest(path).digest
        with path.open("rb") as file:
            return hash_file(file)[1]
    except OSError as error:
        raise AgonError("data_invalid", f"{name}: cannot read {path}: {error.strerror}") from error


def _finished(target: Path, identity: dict[str, Any], *, resume: bool) -> Report:
    """The report of a run that had ended before; anything else in the way is refused."""
    recorded = target / IDENTITY_NAME
    if not resume or not recorded.is_file():
        raise AgonError("usage", f"{target} exists", help="choose a new directory for --out")
    require_same(json.loads(recorded.read_bytes()), identity)
    return Report.model_validate_json((target / REPORT_NAME).read_bytes())


def split_prompts(prompts: Any, held_out: int) -> tuple[list[Prompt], list[Prompt]]:
    """Prompts to train on and `held_out` others, taken from the slices in turn from the end."""
    from miner.train.completions import choose_prompts

    if not held_out:
        return list(prompts), []
    kept = choose_prompts(list(reversed(prompts)), held_out)
    ids = {prompt.id for prompt in kept}
    return [prompt for prompt in prompts if prompt.id not in ids], kept


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn what torch and Python say when memory ends into AgonError `out_of_memory`."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise AgonError("out_of_memory", str(error).splitlines()[0] if str(error) else "no memory") from error
    except RuntimeError as error:
        if "not enough memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        raise AgonError("out_of_memory", str(error).splitlines()[0]) from error


def _measure(
    recipe: Recipe, task: TrainingTask, outcome: Outcome, held_out: list[Prompt], config: TrainConfig
) -> tuple[Gain | None, float | None]:
    if not held_out or recipe.makes != "policy":
        return None, None
    from miner.train.measure import measure

    found = measure(task, outcome.result, held_out, seed=config.seed)
    return found.gain, found.kl


def _report(
    identity: dict[str, Any], outcome: Outcome, space: Workspace, target: Path, wall_s: float
) -> Report:
    first, last = ends(space.history, "loss")
    if not all(math.isfinite(value) for value in (first, last)):
        raise AgonError("training_failed", "the loss is not finite")
    stages = {row["stage"]: row for row in space.history}
    return Report(
        recipe=identity["recipe"],
        parent=identity["parent"],
        config=digest_of(identity["config"]),
        path=str(target),
        steps=sum(1 for row in space.history if "loss" in row),
        tokens=outcome.drawn_tokens + int(sum(row.get("num_tokens", 0) for row in stages.values())),
        wall_s=wall_s,
        peak_rss_bytes=peak_rss_bytes(),
        loss_first=first,
        loss_last=last,
        measures=outcome.measures,
    )


def write_beside(
    result: Path, recipe: Recipe, config: TrainConfig, identity: dict[str, Any], report: Report
) -> None:
    """Settings, identity, report and, for a policy, its lineage: beside the weights."""
    write_whole(result / CONFIG_NAME, to_toml(config).encode())
    write_whole(result / IDENTITY_NAME, json.dumps(identity, indent=2, sort_keys=True).encode())
    write_whole(result / REPORT_NAME, report.model_dump_json(indent=2).encode())
    if recipe.makes == "policy":
        lineage = Lineage(parent=report.parent, recipe=recipe.name, config=report.config)
        write_whole(result / LINEAGE_NAME, canonical_json(lineage))


def draw_and_log(space: Workspace, result: Path) -> None:
    """The trainers' log and its curve: beside the weights."""
    from miner.train.curve import draw_curve

    write_whole(result / LOG_NAME, "".join(json.dumps(row) + "\n" for row in space.history).encode())
    draw_curve(space.history, result / CURVE_NAME, title=space.target.name)


def _deliver(space: Workspace, outcome: Outcome) -> None:
    """Put the whole directory in place by one rename, and what else is worth keeping next to it."""
    for suffix, path in outcome.besides.items():
        kept = space.target.with_name(f"{space.target.name}.{suffix}")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(path, kept)
    outcome.result.rename(space.target)
    space.close()
