"""Bad input ends with a reason before anything is half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from miner.train.constitution import read_constitution
from miner.train.data import Message, read_chats, render
from miner.train.raft import RaftConfig
from miner.train.recipes import find
from miner.train.registry import enough_memory, train
from miner.train.reward import RewardConfig
from miner.train.rlaif import RlaifConfig
from miner.train.sft import SftConfig, sft_trainer
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace
from shared.engines.hf import load_policy
from shared.errors import AgonError

pytestmark = pytest.mark.torch

GOOD_CHAT = '{"prompt": "What is a lamp?", "completion": "A lamp gives light."}\n'
GOOD_PAIR = '{"prompt": "What is a lamp?", "chosen": "A lamp gives light.", "rejected": "No."}\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD_CHAT + "{not json}\n", "line 2"),
        (GOOD_CHAT * 2 + '{"messages": [{"role": "user", "content": "Hello"}]}\n', "line 3: messages"),
        (GOOD_CHAT + '{"prompt": "Hello", "completion": "Hi", "score": 3}\n', "line 2: "),
        ('{"prompt": "Hello", "completion": ""}\n', "line 1"),
        (
            '{"messages": [{"role": "a", "content": "b"}, {"role": "user", "content": "c"}]}',
            "line 1: messages.0.role",
        ),
        ("\n\n", "holds no chat"),
    ],
)
def test_a_bad_line_of_chats_is_named_and_nothing_is_written(
    text: str, reason: str, task: TrainingTask, tmp_path: Path
) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(text)
    with pytest.raises(AgonError, match=reason) as caught:
        train("sft", task, SftConfig(chats=file), tmp_path / "out")
    assert caught.value.code == "data_invalid"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD_PAIR + '{"prompt": "Hello", "chosen": "Hi"}\n', "line 2: 'rejected'"),
        ('{"prompt": "Hello", "chosen": "Hi", "rejected": "Hi"}', "holds no pair: each of its 1 lines"),
        ('{"prompt": "Hello", "chosen": "Hi", "rejected": ""}', "holds no pair: each of its 1 lines"),
        ("", "holds no pair"),
        (GOOD_PAIR * 3, "3 pairs of 1 prompts cannot be split"),
    ],
)
def test_pairs_that_cannot_train_a_reward_model_are_named(
    text: str, reason: str, task: TrainingTask, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(text)
    with pytest.raises(AgonError, match=reason) as caught:
        train("reward", task, RewardConfig(pairs=file), tmp_path / "out")
    assert caught.value.code == "data_invalid"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("recipe", ["reward", "dpo"])
def test_pairs_that_state_no_preference_are_dropped_and_counted(
    recipe: str, task: TrainingTask, pairs: Any, tmp_path: Path
) -> None:
    file = pairs("public", 8)
    same = '{"prompt": "Hello", "chosen": "Hi", "rejected": "Hi"}\n'
    file.write_text(file.read_text() + same * 2)
    config = find(recipe).config(pairs=file, learning_rate=1e-4, threads=1)  # type: ignore[call-arg]
    report = train(recipe, task, config, tmp_path / "out")
    assert report.measures["dropped"] == 2


def test_a_missing_file_is_named(task: TrainingTask, tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="chats: cannot read") as caught:
        train("sft", task, SftConfig(chats=tmp_path / "none"), tmp_path / "out")
    assert caught.value.code == "data_invalid"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "principles = []", "[[principles]]\nname = 'a'", "not toml"])
def test_a_constitution_without_principles_is_refused(text: str, task: TrainingTask, tmp_path: Path) -> None:
    file = tmp_path / "constitution.toml"
    file.write_text(text)
    with pytest.raises(AgonError) as caught:
        read_constitution(file)
    assert caught.value.code == "data_invalid"
    with pytest.raises(AgonError):
        train("rlaif", task, RlaifConfig(constitution=file), tmp_path / "out")
    assert list(tmp_path.iterdir()) == [file]


def test_a_judge_that_is_nowhere_is_refused(task: TrainingTask, constitution: Path, tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="no judge at 'nowhere'"):
        train("rlaif", task, RlaifConfig(constitution=constitution, judge="nowhere"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == [constitution]


class Poison(TrainerCallback):
    """Puts a NaN into the policy before step 5."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            with torch.no_grad():
                next(tensor for tensor in kwargs["model"].parameters() if tensor.requires_grad).fill_(
                    torch.nan
                )


def test_nan_stops_the_run_and_keeps_the_last_good_checkpoint(
    task: TrainingTask, chats: Any, tmp_path: Path
) -> None:
    rows = read_chats(chats("public", 24))
    config = SftConfig(chats=tmp_path, save_steps=2, threads=1)

    def build(parts: Parts) -> Any:
        trainer = sft_trainer(parts, [render(parts.tokenizer, row.messages, 96) for row in rows])
        trainer.add_callback(Poison())
        return trainer

    space = Workspace(tmp_path / "out", lambda _: None)
    space.open({}, resume=False)
    with pytest.raises(AgonError, match="not finite at step 5; the checkpoint of step 4 is kept") as caught:
        train_policy(space, "sft", config, task, build)
    assert caught.value.code == "training_failed"
    assert not (tmp_path / "out").exists()
    load_policy(task.base, tmp_path / "out.last-good")


def test_memory_that_ends_is_told_as_such() -> None:
    with pytest.raises(AgonError) as caught, enough_memory():
        torch.empty(2**60)
    assert caught.value.code == "out_of_memory"


def test_an_unknown_recipe_and_foreign_settings_are_refused(task: TrainingTask, tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="no recipe is called 'ppo'"):
        find("ppo")
    with pytest.raises(AgonError, match="dpo wants a DpoConfig"):
        train("dpo", task, RaftConfig(), tmp_path / "out")


def test_an_answer_beyond_the_limit_of_tokens_is_refused(task: TrainingTask) -> None:
    from transformers import AutoTokenizer

    chat = [Message(role="user", content="word " * 50), Message(role="assistant", content="Yes.")]
    with pytest.raises(AgonError, match="hold no completion"):
        render(AutoTokenizer.from_pretrained(task.base), chat, 16)


def test_every_completion_of_a_long_chat_is_learned_and_nothing_else(task: TrainingTask) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(task.base)
    texts = ["What is a lamp?", "A lamp.", "And a rope?", "A rope."]
    roles = ("user", "assistant", "user", "assistant")
    row = render(
        tokenizer, [Message(role=role, content=text) for role, text in zip(roles, texts, strict=True)], 500
    )
    whole = tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)], tokenize=False
    )
    assert tokenizer.decode(row.input_ids) == whole.rstrip("\n")
    assert (
        tokenizer.decode([label for label in row.labels if label >= 0])
        == "A lamp.<|im_end|>A rope.<|im_end|>"
    )
