"""The DPO recipe: it raises its own objective on prompts it never saw, and writes a checkpoint that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open

from miner.train.completions import DrawnCompletion, fit_frame
from miner.train.dpo import DpoConfig, best_and_worst
from miner.train.measure import measure
from miner.train.registry import train
from miner.train.task import TrainingTask
from miner.train.trainer import load_policy_model
from shared.errors import AgonError
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName

pytestmark = pytest.mark.torch

CONFIG = DpoConfig(learning_rate=5e-4, prompts=60, threads=1)
LAMP = Prompt(id=PromptId("p"), slice=SliceName("instruct"), cluster="c", text="What is a lamp?")

Unseen = Callable[[int], list[Prompt]]


def completion(reward: float, *, finished: bool = True) -> DrawnCompletion:
    return DrawnCompletion(
        prompt=LAMP,
        prompt_ids=(1,),
        token_ids=(4, 5, 2),
        text="A lamp gives light.",
        finished=finished,
        reward=reward,
        logprob=0.0,
    )


def test_training_raises_the_objective_on_unseen_prompts(
    task: TrainingTask, unseen: Unseen, tmp_path: Path
) -> None:
    train("dpo", task, CONFIG, tmp_path / "better")
    found = measure(task, tmp_path / "better", unseen(80), seed=9)
    assert found.gain.low > 0
    assert 0 < found.kl < 3


def test_a_checkpoint_has_the_tensors_of_the_base(task: TrainingTask, tmp_path: Path) -> None:
    train("dpo", task, CONFIG.model_copy(update={"prompts": 16, "epochs": 1}), tmp_path / "out")
    with (
        safe_open(tmp_path / "out" / "model.safetensors", "pt") as ours,
        safe_open(task.base / "model.safetensors", "pt") as theirs,
    ):
        assert set(ours.keys()) == set(theirs.keys())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "curve.png",
        "generation_config.json",
        "lineage.json",
        "model.safetensors",
        "recipe.toml",
        "report.json",
        "run.json",
        "training.jsonl",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_merging_an_adapter_changes_no_completion(task: TrainingTask, tmp_path: Path) -> None:
    """The merged weights give the logits of base plus adapter, to the last bits of float32."""
    model = load_policy_model(task.base, None)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    wrapped = get_peft_model(model, settings)
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.inference_mode():
        before = wrapped(input_ids=ids).logits
        wrapped.merge_and_unload().save_pretrained(tmp_path / "merged")
        after = load_policy_model(task.base, tmp_path / "merged")(input_ids=ids).logits
        assert not torch.allclose(before, load_policy_model(task.base, None)(input_ids=ids).logits, atol=0.1)
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-4)


def test_pairs_need_a_sound_best_and_a_clear_margin(task: TrainingTask) -> None:
    clear = [completion(0.2), completion(1.4), completion(0.8)]
    frame = fit_frame(clear)
    assert best_and_worst(task, clear, frame, 0.5) == [(clear[1], clear[0])]
    with pytest.raises(AgonError, match="no pair of clearly different value"):
        best_and_worst(task, clear, frame, 2.0)
    with pytest.raises(AgonError, match="no pair of clearly different value"):
        best_and_worst(task, [completion(0.2, finished=False), completion(1.4, finished=False)], frame, 0.5)


def test_too_few_prompts_are_refused(task: TrainingTask, tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="60 prompts are wanted, 2 are there"):
        train("dpo", replace(task, prompts=[LAMP, LAMP]), CONFIG, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
