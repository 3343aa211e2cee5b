"""The part that all recipes share: load a model, run a TRL trainer that can be killed, save plain weights.

Each recipe hands in the trainer that it wants; the settings that keep TRL honest on any device are here,
and so is the watch that ends a run at the first number that is not finite. No recipe's logic is here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.watch import Watch
from miner.train.workspace import Workspace, is_main, meet
from shared.checkpoints.allowlist import WEIGHTS_NAME
from shared.checkpoints.files import write_whole
from shared.errors import AgonError

ONE_FILE = "1000GB"
"""A checkpoint has its tensors in one file, whatever its size."""


@dataclass(frozen=True)
class Parts:
    """What a recipe builds its trainer from."""

    model: Any
    tokenizer: Any
    arguments: dict[str, Any]
    """Keyword arguments for any TRL configuration."""
    adapter: Any
    """A peft LoraConfig, or None when every weight is trained."""


Build = Callable[[Parts], Any]


def train_policy(space: Workspace, stage: str, config: TrainConfig, task: TrainingTask, build: Build) -> Path:
    """Train the task's policy with the trainer that `build` makes; returns its directory.

    A finished stage is returned as it is; an interrupted one goes on from its newest whole checkpoint.
    Raises AgonError `training_failed` at a number that is not finite.
    """
    done = space.stage(stage)
    if not done.is_dir():
        steps = space.root / f"{stage}.steps"
        base, start = task.base, task.start
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        trainer = build(
            Parts(load_policy_model(base, start), tokenizer, arguments(config, steps), adapter(config))
        )
        run_trainer(trainer, space, stage, lambda found: restore_policy(base, start, found))
        finish(trainer, space, stage)
    space.record(stage, read_log(done.with_suffix(".log")))
    return done


def load_policy_model(base: Path, start: Path | None) -> Any:
    """The base's architecture with the tensors of `start`, in float32."""
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    if start is not None and start.resolve() != base.resolve():
        model.load_state_dict(load_file(start / WEIGHTS_NAME), strict=False)  # a tied head has no tensor
        model.tie_weights()
    return model


def arguments(config: TrainConfig, folder: Path) -> dict[str, Any]:
    """What every TRL configuration is given. Devices are accelerate's business: none is assumed."""
    return {
        "output_dir": str(folder),
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": config.batch,  # rows of [batch, tokens]
        "gradient_accumulation_steps": config.accumulate,
        "num_train_epochs": config.epochs,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": config.warmup_steps,
        "seed": config.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would show the last finite loss in place of NaN
        "save_steps": config.save_steps,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def adapter(config: TrainConfig, **options: Any) -> Any:
    """A LoRA adapter on every linear layer, or None."""
    from peft import LoraConfig

    if not config.lora_rank:
        return None
    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        target_modules="all-linear",
        **{"task_type": "CAUSAL_LM", **options},
    )


def run_trainer(trainer: Any, space: Workspace, stage: str, restore: Callable[[Path], Any]) -> None:
    """Run to the end, from the newest whole checkpoint if there is one."""
    from transformers import PrinterCallback

    steps = Path(trainer.args.output_dir)
    trainer.remove_callback(PrinterCallback)
    watch = Watch(stage, space.talk)
    trainer.add_callback(watch)
    last = newest_checkpoint(steps)
    if last is not None:
        space.talk(f"{stage}: goes on from {last.name}")
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except AgonError as error:
        raise _explain(error, newest_checkpoint(steps), space, stage, restore) from error
    finally:
        watch.close()


def _explain(
    error: AgonError, good: Path | None, space: Workspace, stage: str, restore: Callable[[Path], Any]
) -> AgonError:
    """The same error, with the last good checkpoint saved as a whole one that `--from` can take."""
    if good is None:
        return AgonError(error.code, f"{stage}: {error.message}; no checkpoint had been saved before")
    kept = space.target.with_name(f"{space.target.name}.last-good")
    if is_main():
        shutil.rmtree(kept, ignore_errors=True)
        restore(good).save_pretrained(kept, max_shard_size=ONE_FILE)
    step = good.name.rpartition("-")[2]
    return AgonError(error.code, f"{stage}: {error.message}; the checkpoint of step {step} is kept in {kept}")


def newest_checkpoint(steps: Path) -> Path | None:
    """The newest checkpoint that was written to its end: the trainer's state is its last file."""
    found = sorted(
        steps.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True
    )
    return next((path for path in found if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True


def restore_policy(base: Path, start: Path | None, checkpoint: Path) -> Any:
    """The model of a trainer's checkpoint, with its adapter merged."""
    if not (checkpoint / "adapter_config.json").is_file():
        return load_policy_model(base, checkpoint)
    from peft import PeftModel

    merged: Any = PeftModel.from_pretrained(load_policy_model(base, start), str(checkpoint))
    return merged.merge_and_unload()


def finish(trainer: Any, space: Workspace, stage: str, tokenizer: Any = None) -> None:
    """Merge the adapter, save plain weights, and put them in place by one rename."""
    done = space.stage(stage)
    model = trainer.accelerator.unwrap_model(trainer.model)
    if is_main():
        draft = done.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        merged.save_pretrained(draft, max_shard_size=ONE_FILE)
        if tokenizer is not None:
            tokenizer.save_pretrained(draft)
        rows = [row for row in trainer.state.log_history if "loss" in row]
        write_whole(done.with_suffix(".log"), "".join(json.dumps(row) + "\n" for row in rows).encode())
        draft.rename(done)
        shutil.rmtree(trainer.args.output_dir, ignore_errors=True)
    meet()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a finished stage's log."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]
