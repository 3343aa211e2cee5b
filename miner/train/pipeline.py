"""RLHF as the textbook has it: fine-tune on chats, train a reward model on pairs, then RL against it.

Each stage is the recipe of that name with its own section of settings. A finished stage is kept, so that
`--resume` goes on with the stage, and inside it with the step, that was interrupted.
"""

from __future__ import annotations

from dataclasses import replace

from miner.train.grpo import GrpoConfig, run_grpo
from miner.train.report import Outcome
from miner.train.reward import RewardConfig, run_reward
from miner.train.settings import TrainConfig
from miner.train.sft import SftConfig, run_sft
from miner.train.task import TrainingTask
from miner.train.workspace import Workspace


class PipelineConfig(TrainConfig):
    """Settings of `pipeline`: threads and held_out apply to all stages, the sections to their own."""

    sft: SftConfig
    reward: RewardConfig
    grpo: GrpoConfig = GrpoConfig()


def run_pipeline(task: TrainingTask, config: PipelineConfig, space: Workspace) -> Outcome:
    """The three stages, one after another. Errors as those of the stages."""
    tuned = run_sft(task, config.sft, space)
    task = replace(task, start=tuned.result)
    judged = run_reward(task, config.reward, space)
    grpo = config.grpo
    if grpo.reward_model is None:
        grpo = grpo.model_copy(update={"reward_model": judged.result})
    learned = run_grpo(task, grpo, space)
    measures = {
        f"{name}.{key}": value
        for name, outcome in (("sft", tuned), ("reward", judged), ("grpo", learned))
        for key, value in outcome.measures.items()
    }
    return Outcome(learned.result, measures, learned.drawn_tokens, {"reward": judged.result})
