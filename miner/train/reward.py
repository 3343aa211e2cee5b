"""A reward model from preference pairs: the miner's own proxy, for `grpo`, `rloo` and ranking.

The fit is that of the owner's judges (`shared/judging/preferences`); LoRA, and going on after a kill, are
the miner's own. The pairs may be human or a judge's; the result is a directory that every recipe takes as
`reward_model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from miner.train.report import Outcome
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import adapter, arguments, finish, read_log, run_trainer
from miner.train.workspace import Workspace
from shared.judging.preferences.agreement import measure_agreement
from shared.judging.preferences.bradley_terry import build_trainer, load_backbone
from shared.judging.preferences.pairs import PreferencePair, read_pairs, split_pairs

SHARE_TESTED = 0.2
"""Share of the prompts that is kept from training and tested on."""


class RewardConfig(TrainConfig):
    """Settings of `reward`."""

    pairs: Path
    """JSON lines of `{"prompt": ..., "chosen": ..., "rejected": ...}` or of transcripts, plain or gzipped."""
    trunk: str = "policy"
    """What to start from: `policy` (the task's checkpoint), `proxy` (the public judge), or a directory."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of the LoRA adapter, merged at the end; 0 trains every weight."""
    learning_rate: float = Field(default=1e-4, gt=0, lt=1)
    """Peak of the cosine schedule."""
    centre: float = Field(default=0.01, ge=0)
    """Coefficient of the squared sum of both rewards: keeps rewards near zero, their order as it is."""


def run_reward(task: TrainingTask, config: RewardConfig, space: Workspace) -> Outcome:
    """Train on most prompts, test on the rest. Raises AgonError `data_invalid` for bad pairs."""
    source = read_pairs(config.pairs)
    trained, tested = split_pairs(source.pairs, SHARE_TESTED, config.seed)
    done = space.stage("reward")
    if not done.is_dir():
        trainer, tokenizer = _trainer(task, config, trained, space)
        run_trainer(trainer, space, "reward", lambda found: _restore(task, config, found))
        finish(trainer, space, "reward", tokenizer)
    space.record("reward", read_log(done.with_suffix(".log")))
    return Outcome(done, {**assess(done, tested), "dropped": source.dropped})


def assess(directory: Path, pairs: Sequence[PreferencePair]) -> dict[str, float]:
    """Accuracy on pairs with its 95% interval, and what length alone achieves; ties count as half."""
    found = measure_agreement(directory, pairs)
    return {
        "tested": found.pairs,
        "accuracy": found.accuracy.value,
        "accuracy_low": found.accuracy.low,
        "accuracy_high": found.accuracy.high,
        "accuracy_of_length": found.length_accuracy.value,
    }


def load_trunk(task: TrainingTask, config: RewardConfig) -> tuple[Any, Any]:
    """A model with one label and its tokenizer. Raises AgonError `base_unavailable`."""
    places = {"policy": task.parent, "proxy": task.proxy}
    trunk = places.get(config.trunk, Path(config.trunk))
    tokenizer_from = trunk if (trunk / "tokenizer.json").is_file() else task.base
    return load_backbone(trunk, config.seed, tokenizer_from)


def _restore(task: TrainingTask, config: RewardConfig, checkpoint: Path) -> Any:
    """The model of a trainer's checkpoint, with its adapter merged."""
    from safetensors.torch import load_file

    model, _ = load_trunk(task, config)
    if (checkpoint / "adapter_config.json").is_file():
        from peft import PeftModel

        merged: Any = PeftModel.from_pretrained(model, str(checkpoint))
        return merged.merge_and_unload()
    model.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    return model


def _trainer(
    task: TrainingTask, config: RewardConfig, pairs: Sequence[PreferencePair], space: Workspace
) -> tuple[Any, Any]:
    """The trainer on `pairs` and the tokenizer that is saved beside its model."""
    model, tokenizer = load_trunk(task, config)
    trainer = build_trainer(
        model,
        tokenizer,
        pairs,
        arguments(config, space.root / "reward.steps"),
        centre=config.centre,
        adapter=adapter(config, task_type="SEQ_CLS"),
    )
    return trainer, tokenizer
