"""Every recipe raises its own objective on data that it never saw, from a seed, on a tiny model.

Each test reads a paired 95% interval: it must not hold zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from miner.train.data import read_chats
from miner.train.grpo import GrpoConfig, RlooConfig
from miner.train.measure import measure
from miner.train.pipeline import PipelineConfig
from miner.train.raft import RaftConfig
from miner.train.recipes import find
from miner.train.registry import train
from miner.train.report import paired_gain
from miner.train.reward import RewardConfig
from miner.train.rlaif import RlaifConfig
from miner.train.settings import TrainConfig
from miner.train.sft import SftConfig
from miner.train.task import TrainingTask
from shared.engines.hf import load_policy
from shared.engines.sampler import score_tokens
from shared.judging.families.reward_model import RewardModel
from shared.judging.preferences.pairs import read_pairs
from shared.protocol.prompt import Prompt

pytestmark = pytest.mark.torch

Unseen = Callable[[int], list[Prompt]]
MakeFile = Callable[[str, int], Path]


def test_sft_makes_demonstrations_likelier(task: TrainingTask, chats: MakeFile, tmp_path: Path) -> None:
    config = SftConfig(chats=chats("public", 60), learning_rate=3e-3, threads=1)
    train("sft", task, config, tmp_path / "out")
    held_out = read_chats(chats("reference", 30))

    def logprobs(weights: Path | None) -> list[float]:
        policy = load_policy(task.base, weights)
        pairs = [
            (policy.render(chat.messages[0].content, 96), policy.ids(chat.messages[1].content))
            for chat in held_out
        ]
        return [sum(row) for row in score_tokens(policy, pairs, task.sampling)]

    assert paired_gain(logprobs(None), logprobs(tmp_path / "out")).low > 0


@pytest.mark.parametrize(
    ("recipe", "config"),
    [
        ("raft", RaftConfig(prompts=60, learning_rate=3e-3, threads=1)),
        ("grpo", GrpoConfig(prompts=60, learning_rate=5e-4, threads=1)),
        ("rloo", RlooConfig(prompts=60, learning_rate=5e-4, threads=1)),
    ],
)
def test_sampling_recipes_raise_the_value_of_completions(
    recipe: str, config: TrainConfig, task: TrainingTask, unseen: Unseen, tmp_path: Path
) -> None:
    report = train(recipe, task, config, tmp_path / "out")
    assert report.steps > 0 and report.tokens > 0
    assert measure(task, tmp_path / "out", unseen(80), seed=9).gain.low > 0


@pytest.mark.parametrize(("trunk", "learning_rate"), [("policy", 2e-3), ("proxy", 1e-3)])
def test_a_reward_model_tells_unseen_pairs_apart(
    trunk: str, learning_rate: float, task: TrainingTask, pairs: MakeFile, tmp_path: Path
) -> None:
    config = RewardConfig(
        pairs=pairs("public", 40), trunk=trunk, learning_rate=learning_rate, epochs=4, threads=1
    )
    report = train("reward", task, config, tmp_path / "out")
    assert report.measures["dropped"] == 0
    assert report.measures["accuracy_low"] <= report.measures["accuracy"] <= report.measures["accuracy_high"]
    model = RewardModel(tmp_path / "out")
    held_out = read_pairs(pairs("reference", 30)).pairs
    rewards = model.reward([(row.prompt, text) for row in held_out for text in (row.chosen, row.rejected)])
    right = [float(chosen > rejected) for chosen, rejected in zip(rewards[0::2], rewards[1::2], strict=True)]
    assert paired_gain([0.5] * len(right), right).low > 0


def test_rlaif_makes_a_policy_that_its_judge_prefers(
    task: TrainingTask, constitution: Path, terse_judge: str, tmp_path: Path, unseen: Unseen
) -> None:
    """The judge is a server that likes the shorter answer, whichever is shown first."""
    config = RlaifConfig(
        constitution=constitution, judge=terse_judge, prompts=40, learning_rate=1e-3, threads=1
    )
    report = train("rlaif", task, config, tmp_path / "out")
    assert report.measures["compared"] == 80 and report.measures["pairs"] > 20

    def lengths(weights: Path | None) -> list[float]:
        from miner.train.completions import draw_completions

        completions = draw_completions(task, unseen(48), 1, seed=9, checkpoint=weights)
        return [-float(len(completion.token_ids)) for completion in completions]

    assert paired_gain(lengths(None), lengths(tmp_path / "out")).low > 0


def test_the_pipeline_ends_in_a_better_policy_and_keeps_its_reward_model(
    task: TrainingTask, chats: MakeFile, pairs: MakeFile, unseen: Unseen, tmp_path: Path
) -> None:
    config = PipelineConfig(
        sft=SftConfig(chats=chats("public", 40), learning_rate=1e-3),
        reward=RewardConfig(pairs=pairs("public", 40), learning_rate=2e-3, epochs=3),
        grpo=GrpoConfig(prompts=24, learning_rate=3e-4),
        threads=1,
    )
    report = train("pipeline", task, config, tmp_path / "out")
    assert {name.partition(".")[0] for name in report.measures} == {"sft", "reward", "grpo"}
    stages = [
        json.loads(line)["stage"] for line in (tmp_path / "out/training.jsonl").read_text().splitlines()
    ]
    assert list(dict.fromkeys(stages)) == ["sft", "reward", "grpo"]
    assert measure(task, tmp_path / "out", unseen(80), seed=9).gain.low > 0
    RewardModel(tmp_path / "out.reward").reward([("What is a lamp?", "A lamp.")])
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("out")} == {"out", "out.reward"}


def test_dpo_learns_pairs_from_a_file(task: TrainingTask, pairs: MakeFile, tmp_path: Path) -> None:
    config = find("dpo").config(pairs=pairs("public", 40), learning_rate=1e-3, threads=1)  # type: ignore[call-arg]
    train("dpo", task, config, tmp_path / "out")
    held_out = read_pairs(pairs("reference", 30)).pairs

    def margins(weights: Path | None) -> list[float]:
        policy = load_policy(task.base, weights)
        asked = [policy.render(row.prompt, 96) for row in held_out]
        sides = [
            [
                sum(row)
                for row in score_tokens(
                    policy,
                    [(ids, policy.ids(text)) for ids, text in zip(asked, texts, strict=True)],
                    task.sampling,
                )
            ]
            for texts in ([row.chosen for row in held_out], [row.rejected for row in held_out])
        ]
        return [chosen - rejected for chosen, rejected in zip(*sides, strict=True)]

    assert paired_gain(margins(None), margins(tmp_path / "out")).low > 0


def test_online_dpo_samples_the_policy_that_it_just_trained(task: TrainingTask, tmp_path: Path) -> None:
    config = find("dpo").config(prompts=12, iterations=2, held_out=8, threads=1)  # type: ignore[call-arg]
    report = train("dpo", task, config, tmp_path / "out")
    stages = [
        json.loads(line)["stage"] for line in (tmp_path / "out/training.jsonl").read_text().splitlines()
    ]
    assert set(stages) == {"dpo-1", "dpo-2"}
    assert report.measures["answers"] == 2 * 12 * 4
    assert report.held_out is not None and report.held_out.pairs == 8


def test_full_training_starts_from_any_checkpoint(task: TrainingTask, tmp_path: Path) -> None:
    config = RaftConfig(prompts=8, lora_rank=0, threads=1)
    first = train("raft", task, config, tmp_path / "first")
    second = train("raft", replace(task, start=tmp_path / "first"), config, tmp_path / "second")
    assert first.parent != second.parent
    lineage = json.loads((tmp_path / "second/lineage.json").read_bytes())
    assert lineage == {"parent": second.parent, "recipe": "raft", "config": second.config}
