"""Supervised fine-tuning: the policy learns the assistant's turns of given chats, token by token.

The first stage of textbook RLHF, and the way to learn from demonstrations that no reward describes. The
loss is the mean negative log-likelihood of completion tokens; prompts are not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from miner.train.data import Rendered, read_chats, render
from miner.train.report import Outcome
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace


class SftConfig(TrainConfig):
    """Settings of `sft`."""

    chats: Path
    """JSON lines of `{"messages": [...]}` or `{"prompt": ..., "completion": ...}`."""
    max_tokens: int = Field(default=512, ge=8)
    """Longer chats are cut here."""
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    """Peak of the cosine schedule."""


def run_sft(task: TrainingTask, config: SftConfig, space: Workspace) -> Outcome:
    """Train on the chats of `config.chats`. Raises AgonError `data_invalid` naming a bad line."""
    chats = read_chats(config.chats)

    def build(parts: Parts) -> Any:
        rows = [render(parts.tokenizer, chat.messages, config.max_tokens) for chat in chats]
        return sft_trainer(parts, rows)

    result = train_policy(space, "sft", config, task, build)
    return Outcome(result, {"chats": len(chats)})


def sft_trainer(parts: Parts, rows: Sequence[Rendered]) -> Any:
    """TRL's trainer on tokens as they are: TRL would end every text with a stop token, cut ones too."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    return SFTTrainer(
        model=parts.model,
        args=SFTConfig(**parts.arguments, max_length=None),
        train_dataset=Dataset.from_list([vars(row) for row in rows]),  # ids and labels, [tokens] each
        processing_class=parts.tokenizer,
        peft_config=parts.adapter,
    )
