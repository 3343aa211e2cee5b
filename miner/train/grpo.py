"""GRPO and RLOO: policy-gradient RL on sampled completions, against a reward model, verifiers, or both.

A group of completions of one prompt is its own baseline (GRPO: standardised in the group, Shao et al. 2024;
RLOO: mean of the others, Ahmadian et al. 2024). KL to the reference policy holds the policy back, and two
shaping terms make completions that run to the limit or repeat themselves cost something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from miner.train.completions import (
    DrawnCompletion,
    Frame,
    TermCoefficients,
    choose_prompts,
    draw_completions,
    fit_frame,
    value_of,
)
from miner.train.report import Outcome, ends
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace
from shared.engines.hf import Policy
from shared.errors import AgonError
from shared.judging.families.reward_model import RewardModel
from shared.protocol.prompt import Prompt

FRAME_PROMPTS = 32
"""Prompts whose completions by the starting policy standardise the reward model."""


class GrpoConfig(TrainConfig):
    """Settings of `grpo`."""

    prompts: int = Field(default=80, ge=2)
    """Public prompts, shared evenly by the slices; each is answered once an epoch."""
    generations: int = Field(default=8, ge=2)
    """Completions per prompt and step: the group that is its own baseline."""
    batch: int = Field(default=16, ge=1)
    """Completions per device and forward pass."""
    learning_rate: float = Field(default=5e-5, gt=0, lt=1)
    """Peak of the cosine schedule."""
    beta: float = Field(default=0.04, ge=0)
    """Weight of the KL to the reference: the start with an adapter, the base without."""
    reward_model: Path | None = None
    """Directory of a reward model such as `reward` makes; the competition's public proxy when unset."""
    opinion_weight: float = Field(default=0.25, ge=0)
    """What the reward model counts, per standard deviation; 0 leaves verifiers and gates."""
    verifier_weight: float = Field(default=1.0, ge=0)
    """What a verifier counts on its slice; 0 leaves the reward model and gates."""
    overlong_weight: float = Field(default=0.5, ge=0)
    """Cost of a completion that reaches the token limit (soft overlong punishment of DAPO)."""
    overlong_tokens: int = Field(default=4, ge=1)
    """The cost rises over so many tokens before the limit."""
    repetition_weight: float = Field(default=0.5, ge=0)
    """Cost of a completion that consists of repeated token trigrams."""

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.batch * self.accumulate % self.generations:
            raise ValueError("batch times accumulate must be a multiple of generations")
        if not self.opinion_weight and not self.verifier_weight:
            raise ValueError("opinion_weight and verifier_weight cannot both be 0")
        return self


class RlooConfig(GrpoConfig):
    """Settings of `rloo`."""

    generations: int = Field(default=4, ge=2)
    """Completions per prompt and step; the others are each one's baseline."""
    beta: float = Field(default=0.05, ge=0)
    """KL to the reference, taken off the reward."""


def run_grpo(task: TrainingTask, config: GrpoConfig, space: Workspace) -> Outcome:
    """GRPO, or RLOO for a `RlooConfig`. Raises AgonError `data_invalid` without enough prompts."""
    prompts = choose_prompts(task.prompts, config.prompts)
    judged = replace(task, proxy=config.reward_model or task.proxy)
    framing = choose_prompts(task.prompts, min(FRAME_PROMPTS, len(prompts)))
    rows = space.file("frame", lambda: _frame_rows(judged, framing, config))
    completions = [DrawnCompletion.model_validate(row) for row in rows]

    def build(parts: Parts) -> Any:
        return _trainer(parts, judged, prompts, config, fit_frame(completions))

    name = "rloo" if isinstance(config, RlooConfig) else "grpo"
    result = train_policy(space, name, config, task, build)
    first, last = ends(space.history, "reward")
    measures = {"reward_first": first, "reward_last": last, "kl_last": ends(space.history, "kl")[1]}
    return Outcome(result, measures, sum(len(completion.token_ids) for completion in completions))


def _frame_rows(task: TrainingTask, prompts: Sequence[Prompt], config: GrpoConfig) -> list[dict[str, Any]]:
    completions = draw_completions(task, prompts, 2, seed=config.seed)
    return [completion.model_dump(mode="json") for completion in completions]


@dataclass
class Objective:
    """The reward function that TRL calls: the value of each completion, by its own tokens."""

    task: TrainingTask
    prompts: dict[str, Prompt]
    frame: Frame
    coefficients: TermCoefficients
    decoder: Policy
    judge: RewardModel | None
    __name__: str = "value"

    def __call__(self, completion_ids: list[list[int]], prompt_id: list[str], **_: Any) -> list[float]:
        """Values [completions], a group side by side; `prompt_id` is a column of the data set."""
        texts, ended = [], []
        for ids in completion_ids:  # [tokens], the stop token included where there is one
            finished = bool(ids) and ids[-1] in self.task.sampling.stop_ids
            ended.append(finished)
            texts.append(self.decoder.text(ids[:-1] if finished else ids))
        asked = [self.prompts[name] for name in prompt_id]
        asked_and_said = [(prompt.text, text) for prompt, text in zip(asked, texts, strict=True)]
        rewards = self.judge.reward(asked_and_said) if self.judge else [0.0] * len(asked_and_said)
        return [
            value_of(
                DrawnCompletion(
                    prompt=prompt,
                    prompt_ids=(),
                    token_ids=tuple(ids),
                    text=text,
                    finished=finished,
                    reward=reward,
                    logprob=0.0,
                ),
                self.frame,
                self.task.verifiers,
                self.coefficients,
            )
            for prompt, ids, text, finished, reward in zip(
                asked, completion_ids, texts, ended, rewards, strict=True
            )
        ]


def _trainer(
    parts: Parts, task: TrainingTask, prompts: Sequence[Prompt], config: GrpoConfig, frame: Frame
) -> Any:
    from datasets import Dataset
    from trl.rewards.other_rewards import get_repetition_penalty_reward, get_soft_overlong_punishment
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.rloo_config import RLOOConfig
    from trl.trainer.rloo_trainer import RLOOTrainer

    limit = task.sampling.limits.new_tokens
    if config.overlong_tokens >= limit:
        raise AgonError("settings_invalid", f"overlong_tokens must be below the limit of {limit} new tokens")
    objective = Objective(
        task,
        {prompt.id: prompt for prompt in prompts},
        frame,
        TermCoefficients(config.opinion_weight, 0.0, config.verifier_weight),
        Policy(parts.model, parts.tokenizer),
        RewardModel(task.proxy) if config.opinion_weight else None,
    )
    kinds: Any = (RLOOTrainer, RLOOConfig) if isinstance(config, RlooConfig) else (GRPOTrainer, GRPOConfig)
    trainer, settings = kinds
    return trainer(
        model=parts.model,
        reward_funcs=[
            objective,
            get_soft_overlong_punishment(limit, config.overlong_tokens),
            get_repetition_penalty_reward(3, -1.0),
        ],
        args=settings(
            **parts.arguments,
            num_generations=config.generations,
            max_completion_length=limit,
            temperature=task.sampling.temperature,
            beta=config.beta,
            reward_weights=[1.0, config.overlong_weight, config.repetition_weight],
        ),
        train_dataset=Dataset.from_list(
            [
                {"prompt": [{"role": "user", "content": prompt.text}], "prompt_id": prompt.id}
                for prompt in prompts
            ]
        ),
        processing_class=parts.tokenizer,
        peft_config=parts.adapter,
    )
