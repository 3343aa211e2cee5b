"""A reward model from preference pairs: the miner's own proxy, for `grpo`, `rloo` and ranking.

Bradley-Terry: minimise -log sigmoid(r(chosen) - r(rejected)). The pairs may be human or a judge's; the
result is a directory that every recipe takes as `reward_model` and that reads texts as the judges do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from miner.train.data import Pair, read_pairs
from miner.train.report import Outcome, paired_gain
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import adapter, arguments, finish, read_log, run_trainer
from miner.train.workspace import Workspace
from shared.engines.hf import JUDGE_TOKENS
from shared.errors import AgonError
from shared.judging.reward_model import RewardModel

SHARE_TESTED = 5
"""One pair in so many is kept from training and tested on."""


class RewardConfig(TrainConfig):
    """Settings of `reward`."""

    pairs: Path
    """JSON lines of `{"prompt": ..., "chosen": ..., "rejected": ...}`."""
    trunk: str = "policy"
    """What to start from: `policy` (the task's checkpoint), `proxy` (the public judge), or a directory."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of the LoRA adapter, merged at the end; 0 trains every weight."""
    learning_rate: float = Field(default=1e-4, gt=0, lt=1)
    """Peak of the cosine schedule."""
    centre: float = Field(default=0.01, ge=0)
    """Weight of the squared sum of both rewards: keeps rewards near zero without changing their order."""


def run_reward(task: TrainingTask, config: RewardConfig, space: Workspace) -> Outcome:
    """Train on four fifths of the pairs, test on the rest. Raises AgonError `data_invalid` for bad pairs."""
    trained, tested = split_pairs(read_pairs(config.pairs), config.seed)
    done = space.stage("reward")
    if not done.is_dir():
        model, tokenizer = load_trunk(task, config)
        trainer = _trainer(model, tokenizer, trained, config, space)
        run_trainer(trainer, space, "reward", lambda found: _restore(task, config, found))
        finish(trainer, space, "reward", tokenizer)
    space.record("reward", read_log(done.with_suffix(".log")))
    return Outcome(done, assess(done, tested))


def split_pairs(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and pairs to test on; no prompt is on both sides.

    Raises AgonError `data_invalid` with pairs of fewer than two prompts.
    """
    prompts = sorted({pair.prompt for pair in pairs})
    if len(prompts) < 2:
        raise AgonError("data_invalid", "a reward model needs pairs of two prompts at least")
    kept = set(random.Random(seed).sample(prompts, max(1, len(prompts) // SHARE_TESTED)))
    return [pair for pair in pairs if pair.prompt not in kept], [
        pair for pair in pairs if pair.prompt in kept
    ]


def assess(directory: Path, pairs: Sequence[Pair]) -> dict[str, float]:
    """Accuracy on pairs with its interval, and what length alone achieves; ties count as half."""
    rewards = RewardModel(directory).reward(
        [(pair.prompt, text) for pair in pairs for text in (pair.chosen, pair.rejected)]
    )
    right = [_order(*both) for both in zip(rewards[0::2], rewards[1::2], strict=True)]
    shorter = [_order(-len(pair.chosen), -len(pair.rejected)) for pair in pairs]
    length = sum(shorter) / len(shorter)
    found: dict[str, float] = {"tested": len(pairs), "accuracy": sum(right) / len(right)}
    if len(pairs) > 1:
        gain = paired_gain([0.5] * len(right), right)
        found |= {"accuracy_low": 0.5 + gain.low, "accuracy_high": min(1.0, 0.5 + gain.high)}
    return found | {"accuracy_of_length": max(length, 1 - length)}


def _order(good: float, bad: float) -> float:
    return 1.0 if good > bad else 0.5 if good == bad else 0.0


def load_trunk(task: TrainingTask, config: RewardConfig) -> tuple[Any, Any]:
    """A model with one label and its tokenizer; the head is new unless the trunk is a judge already."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

    places = {"policy": task.parent, "proxy": task.proxy}
    trunk = places.get(config.trunk, Path(config.trunk))
    words = trunk if (trunk / "tokenizer.json").is_file() else task.base
    set_seed(config.seed)  # the new head
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            trunk, num_labels=1, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(words, local_files_only=True)
    except (OSError, ValueError) as error:
        raise AgonError("base_unavailable", f"cannot load the trunk {trunk}: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


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
    model: Any, tokenizer: Any, pairs: Sequence[Pair], config: RewardConfig, space: Workspace
) -> Any:
    from datasets import Dataset
    from trl.trainer.reward_config import RewardConfig as TrlConfig
    from trl.trainer.reward_trainer import RewardTrainer

    rows = [
        {
            "chosen_ids": as_judge_reads(tokenizer, pair.prompt, pair.chosen),
            "rejected_ids": as_judge_reads(tokenizer, pair.prompt, pair.rejected),
        }
        for pair in pairs
    ]
    return RewardTrainer(
        model=model,
        args=TrlConfig(
            **arguments(config, space.root / "reward.steps"),
            max_length=None,
            center_rewards_coefficient=config.centre or None,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapter(config, task_type="SEQ_CLS"),
        data_collator=Collator(tokenizer),
    )


def as_judge_reads(tokenizer: Any, prompt: str, answer: str) -> list[int]:
    """Token ids of a prompt and an answer as `JudgeModel` reads them: a chat, or a pair of texts."""
    limits: dict[str, Any] = {"truncation": True, "max_length": JUDGE_TOKENS}
    if tokenizer.chat_template is None:
        ids: list[int] = tokenizer(prompt, text_pair=answer, **limits).input_ids
        return ids
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    rendered: list[int] = tokenizer(text, add_special_tokens=False, **limits).input_ids
    return rendered


class Collator:
    """Pads the better answers, then the worse ones; an encoder is told where the second text begins."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._typed = tokenizer.chat_template is None and "token_type_ids" in tokenizer.model_input_names

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Tensors [2n, width]."""
        import torch

        rows = [example[name] for name in ("chosen_ids", "rejected_ids") for example in examples]
        width = max(map(len, rows))
        pad = self._tokenizer.pad_token_id
        batch = {
            "input_ids": torch.tensor([row + [pad] * (width - len(row)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
        }
        if self._typed:
            batch["token_type_ids"] = torch.tensor([self._types(row, width) for row in rows])
        return batch

    def _types(self, row: Sequence[int], width: int) -> list[int]:
        """0 up to the first separator, 1 for the second text, 0 on padding."""
        separator = row.index(self._separator) + 1
        return [0] * separator + [1] * (len(row) - separator) + [0] * (width - len(row))

    @property
    def _separator(self) -> int:
        mark = self._tokenizer.sep_token_id
        return int(self._tokenizer.eos_token_id if mark is None else mark)
