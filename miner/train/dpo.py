"""DPO: sample the policy, rank its own answers, train on best against worst; or train on given pairs.

With `iterations` above 1 it is online DPO: the trained policy is sampled again. Held-out judges and pools
are never needed. With `pairs` the preferences come from a file, and nothing is sampled.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from miner.train.answers import (
    Answer,
    Frame,
    by_prompt,
    choose_prompts,
    draw_answers,
    fit_frame,
    is_sound,
    value_of,
)
from miner.train.data import Message, Pair, read_pairs, render
from miner.train.report import Outcome, ends
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace
from shared.errors import AgonError


class DpoConfig(TrainConfig):
    """Settings of `dpo`."""

    pairs: Path | None = None
    """JSON lines of `{"prompt": ..., "chosen": ..., "rejected": ...}`; sampled and ranked when unset."""
    prompts: int = Field(default=80, ge=2)
    """Public prompts to sample in each iteration, shared evenly by the slices."""
    samples: int = Field(default=4, ge=2)
    """Answers per prompt."""
    iterations: int = Field(default=1, ge=1)
    """Rounds of sampling, ranking and training; 1 with `pairs`."""
    min_margin: float = Field(default=0.5, ge=0)
    """Least difference in value between the two answers of a pair."""
    batch: int = Field(default=4, ge=1)
    """Pairs per device and forward pass."""
    learning_rate: float = Field(default=4e-4, gt=0, lt=1)
    """Peak of the cosine schedule."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull back to the policy that an iteration starts from."""
    max_tokens: int = Field(default=512, ge=8)
    """Longer chats of a file are cut here."""


PLACEHOLDER = {
    "prompt": [{"role": "user", "content": "a"}],
    "chosen": [{"role": "assistant", "content": "b"}],
    "rejected": [{"role": "assistant", "content": "c"}],
}
"""TRL renders a data set when a trainer is made; ours, which is tokens already, takes its place then."""


@dataclass(frozen=True)
class IdPair:
    """Token ids of a prompt, of the better answer to it and of the worse one."""

    prompt_ids: Sequence[int]
    chosen_ids: Sequence[int]
    rejected_ids: Sequence[int]


def run_dpo(task: TrainingTask, config: DpoConfig, space: Workspace) -> Outcome:
    """Train on given pairs, or sample, rank and train in turns.

    Raises AgonError `data_invalid` for a bad line or when no prompt yields a pair.
    """
    if config.pairs is not None:
        pairs = read_pairs(config.pairs)
        result = train_on_pairs(task, config, space, "dpo", lambda tokens: to_ids(pairs, tokens, config))
        return Outcome(result, {"pairs": len(pairs), **_margin(space)})
    counts = {"answers": 0, "sound": 0, "pairs": 0, "tokens": 0}
    for turn in range(1, config.iterations + 1):
        answers = _sample(task, config, space, turn)
        frame = fit_frame(answers)
        ranked = best_and_worst(task, answers, frame, config.min_margin)
        task = replace(task, start=_learn(task, config, space, turn, ranked))
        counts["answers"] += len(answers)
        counts["sound"] += sum(is_sound(answer, frame) for answer in answers)
        counts["pairs"] += len(ranked)
        counts["tokens"] += sum(len(answer.token_ids) for answer in answers)
    measures = {
        "answers": counts["answers"],
        "sound": counts["sound"] / counts["answers"],
        "pairs": counts["pairs"],
        **_margin(space),
    }
    return Outcome(task.parent, measures, counts["tokens"])


def best_and_worst(
    task: TrainingTask, answers: Sequence[Answer], frame: Frame, min_margin: float
) -> list[tuple[Answer, Answer]]:
    """The best and the worst answer to each prompt where the best is sound, largest margins first.

    Raises AgonError `data_invalid` when no prompt yields a pair.
    """

    def value(answer: Answer) -> float:
        return value_of(answer, frame, task.verifiers)

    groups = by_prompt(answers, value)
    pairs = [
        (group[-1], group[0])
        for group in groups
        if is_sound(group[-1], frame) and value(group[-1]) - value(group[0]) > min_margin
    ]
    if not pairs:
        raise AgonError("data_invalid", f"{len(answers)} answers hold no pair of clearly different value")
    return sorted(pairs, key=lambda pair: value(pair[1]) - value(pair[0]))


def train_on_pairs(task: TrainingTask, config: DpoConfig, space: Workspace, stage: str, rows: Any) -> Path:
    """One DPO training on the pairs that `rows(tokenizer)` gives."""

    def build(parts: Parts) -> Any:
        return dpo_trainer(parts, rows(parts.tokenizer), config.beta)

    return train_policy(space, stage, config, task, build)


def to_ids(pairs: Sequence[Pair], tokenizer: Any, config: DpoConfig) -> list[IdPair]:
    """Pairs of texts as tokens, every answer ended by the stop token."""
    found = []
    for pair in pairs:
        question = Message(role="user", content=pair.prompt)
        better, worse = (
            render(tokenizer, [question, Message(role="assistant", content=text)], config.max_tokens)
            for text in (pair.chosen, pair.rejected)
        )
        asked = better.prompt_tokens
        found.append(IdPair(better.input_ids[:asked], better.input_ids[asked:], worse.input_ids[asked:]))
    return found


def dpo_trainer(parts: Parts, pairs: Sequence[IdPair], beta: float) -> Any:
    """TRL's trainer on tokens as they are.

    TRL would end every text with a stop token, truncated ones too, and so teach the policy not to stop.
    """
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    trainer = DPOTrainer(
        model=parts.model,
        # without an adapter to switch off, TRL would load the base anew where training may start elsewhere
        ref_model=None if parts.adapter else copy.deepcopy(parts.model),
        args=DPOConfig(**parts.arguments, beta=beta, max_length=None),
        train_dataset=Dataset.from_list([PLACEHOLDER] * len(pairs)),
        processing_class=parts.tokenizer,
        peft_config=parts.adapter,
    )
    trainer.train_dataset = Dataset.from_list([vars(pair) for pair in pairs])
    return trainer


def _margin(space: Workspace) -> dict[str, float]:
    """Implicit reward margin of the last step, nats times beta."""
    return {"margin_last": ends(space.history, "rewards/margins")[1]}


def _sample(task: TrainingTask, config: DpoConfig, space: Workspace, turn: int) -> list[Answer]:
    prompts = choose_prompts(task.prompts, config.prompts)

    def draw() -> list[dict[str, Any]]:
        space.talk(f"sampling {len(prompts) * config.samples} answers")
        answers = draw_answers(task, prompts, config.samples, seed=config.seed + turn - 1)
        return [answer.model_dump(mode="json") for answer in answers]

    return [Answer.model_validate(row) for row in space.file(f"answers-{turn}", draw)]


def _learn(
    task: TrainingTask,
    config: DpoConfig,
    space: Workspace,
    turn: int,
    ranked: Sequence[tuple[Answer, Answer]],
) -> Path:
    pairs = [IdPair(best.prompt_ids, best.token_ids, worst.token_ids) for best, worst in ranked]
    return train_on_pairs(task, config, space, f"dpo-{turn}", lambda _: pairs)
