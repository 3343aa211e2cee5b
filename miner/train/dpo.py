"""DPO: sample the policy, rank its own completions, train on best against worst; or train on given pairs.

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

from miner.train.completions import (
    DrawnCompletion,
    Frame,
    by_prompt,
    choose_prompts,
    draw_completions,
    fit_frame,
    is_sound,
    value_of,
)
from miner.train.data import Message, render
from miner.train.report import Outcome, ends
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace
from shared.errors import AgonError
from shared.judging.preferences.pairs import PreferencePair, read_pairs


class DpoConfig(TrainConfig):
    """Settings of `dpo`."""

    pairs: Path | None = None
    """Preference pairs, as `reward` takes them; the policy's own completions, ranked, when unset."""
    prompts: int = Field(default=80, ge=2)
    """Public prompts to sample in each iteration, shared evenly by the slices."""
    samples: int = Field(default=4, ge=2)
    """Completions per prompt."""
    iterations: int = Field(default=1, ge=1)
    """Rounds of sampling, ranking and training; 1 with `pairs`."""
    min_margin: float = Field(default=0.5, ge=0)
    """Least difference in value between the two completions of a pair."""
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
    """Token ids of a prompt and of two completions of it; each begins where the prompt ends."""

    prompt_ids: Sequence[int]  # [prompt tokens]
    chosen_ids: Sequence[int]  # [completion tokens], the stop token included
    rejected_ids: Sequence[int]  # [completion tokens]


def run_dpo(task: TrainingTask, config: DpoConfig, space: Workspace) -> Outcome:
    """Train on given pairs, or sample, rank and train in turns.

    Raises AgonError `data_invalid` for a bad line or when no prompt yields a pair.
    """
    if config.pairs is not None:
        source = read_pairs(config.pairs)
        result = train_on_pairs(
            task, config, space, "dpo", lambda tokenizer: to_ids(source.pairs, tokenizer, config)
        )
        measures = {"pairs": len(source.pairs), "dropped": source.dropped, **_margin(space)}
        return Outcome(result, measures)
    counts = {"answers": 0, "sound": 0, "pairs": 0, "tokens": 0}
    for turn in range(1, config.iterations + 1):
        completions = _sample(task, config, space, turn)
        frame = fit_frame(completions)
        ranked = best_and_worst(task, completions, frame, config.min_margin)
        task = replace(task, start=_learn(task, config, space, turn, ranked))
        counts["answers"] += len(completions)
        counts["sound"] += sum(is_sound(completion, frame) for completion in completions)
        counts["pairs"] += len(ranked)
        counts["tokens"] += sum(len(completion.token_ids) for completion in completions)
    measures = {
        "answers": counts["answers"],
        "sound": counts["sound"] / counts["answers"],
        "pairs": counts["pairs"],
        **_margin(space),
    }
    return Outcome(task.parent, measures, counts["tokens"])


def best_and_worst(
    task: TrainingTask, completions: Sequence[DrawnCompletion], frame: Frame, min_margin: float
) -> list[tuple[DrawnCompletion, DrawnCompletion]]:
    """The best and the worst completion of each prompt where the best is sound, largest margins first.

    Raises AgonError `data_invalid` when no prompt yields a pair.
    """

    def value(completion: DrawnCompletion) -> float:
        return value_of(completion, frame, task.verifiers)

    groups = by_prompt(completions, value)
    pairs = [
        (group[-1], group[0])
        for group in groups
        if is_sound(group[-1], frame) and value(group[-1]) - value(group[0]) > min_margin
    ]
    if not pairs:
        raise AgonError(
            "data_invalid", f"{len(completions)} completions hold no pair of clearly different value"
        )
    return sorted(pairs, key=lambda pair: value(pair[1]) - value(pair[0]))


def train_on_pairs(task: TrainingTask, config: DpoConfig, space: Workspace, stage: str, rows: Any) -> Path:
    """One DPO training on the pairs that `rows(tokenizer)` gives."""

    def build(parts: Parts) -> Any:
        return dpo_trainer(parts, rows(parts.tokenizer), config.beta)

    return train_policy(space, stage, config, task, build)


def to_ids(pairs: Sequence[PreferencePair], tokenizer: Any, config: DpoConfig) -> list[IdPair]:
    """Pairs of texts as tokens, every completion ended by the stop token."""
    found = []
    for pair in pairs:
        question = Message(role="user", content=pair.prompt)
        chosen, rejected = (
            render(tokenizer, [question, Message(role="assistant", content=text)], config.max_tokens)
            for text in (pair.chosen, pair.rejected)
        )
        asked = chosen.prompt_tokens
        found.append(IdPair(chosen.input_ids[:asked], chosen.input_ids[asked:], rejected.input_ids[asked:]))
    return found


def dpo_trainer(parts: Parts, pairs: Sequence[IdPair], beta: float) -> Any:
    """TRL's trainer on tokens as they are; it reads batches [2 * pairs, tokens], the chosen sides first.

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


def _sample(task: TrainingTask, config: DpoConfig, space: Workspace, turn: int) -> list[DrawnCompletion]:
    prompts = choose_prompts(task.prompts, config.prompts)

    def draw() -> list[dict[str, Any]]:
        space.talk(f"sampling {len(prompts) * config.samples} completions")
        completions = draw_completions(task, prompts, config.samples, seed=config.seed + turn - 1)
        return [completion.model_dump(mode="json") for completion in completions]

    return [DrawnCompletion.model_validate(row) for row in space.file(f"answers-{turn}", draw)]


def _learn(
    task: TrainingTask,
    config: DpoConfig,
    space: Workspace,
    turn: int,
    ranked: Sequence[tuple[DrawnCompletion, DrawnCompletion]],
) -> Path:
    pairs = [IdPair(best.prompt_ids, best.token_ids, worst.token_ids) for best, worst in ranked]
    return train_on_pairs(task, config, space, f"dpo-{turn}", lambda _: pairs)
