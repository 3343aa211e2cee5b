"""The DPO recipe: sample the policy, rank its own answers, train on best against worst, save a checkpoint.

`agon-miner train` runs it on public prompts and the public proxy judge; held-out judges and pools are
never needed. The reward is what the rules reward: an answer that no gate stops, the verifier's score
where a slice has one, the proxy judge's opinion, and a likely wording.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, Field
from safetensors.torch import load_file

from shared.checkpoints.allowlist import WEIGHTS_NAME
from shared.errors import AgonError
from shared.evaluation.hf import load_policy
from shared.evaluation.sampler import Drawn, Request, sample
from shared.judging.gates import compresses, is_text, loops
from shared.judging.reward_model import RewardModel
from shared.judging.verifiers import verify
from shared.models.competition import Sampling
from shared.models.prompt import Prompt
from shared.types import SliceName

PROXY_WEIGHT = 0.25
FLUENCY_WEIGHT = 0.25
LIMIT = 2.0
"""In standard deviations: proxy judge and fluency move a value by at most 0.5 each. The judge is weak and
easily gamed; without the fluency term, training drifts into answers that the gate on likelihood stops."""
SHORTEST_PERCENTILE = 10
"""Answers below this percentile of the policy's own lengths count as bad: training overshoots into answers
too short, and the rules gate the shortest 1%."""


class DpoConfig(BaseModel, frozen=True, extra="forbid"):
    """What the recipe may be told; the defaults suit a 135M policy on two CPU cores."""

    prompts: int = Field(default=80, ge=2)
    """Public prompts to sample, shared evenly by the slices."""
    samples: int = Field(default=4, ge=2)
    """Answers per prompt."""
    min_margin: float = Field(default=0.5, ge=0)
    """Least difference in value between the two answers of a pair."""
    epochs: int = Field(default=1, ge=1)
    batch: int = Field(default=4, ge=1)
    """Pairs per optimiser step."""
    learning_rate: float = Field(default=4e-4, gt=0)
    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull back to the policy that training starts from."""
    lora_rank: int = Field(default=16, ge=1)
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's own choice when unset."""
    seed: int = Field(default=0, ge=0)


class DpoReport(BaseModel, frozen=True):
    """What a run did."""

    answers: int
    sound: float
    """Share of sampled answers that pass the gates."""
    pairs: int
    loss_first: float
    loss_last: float
    margin_last: float
    """Mean implicit reward margin of the last logged steps, nats times beta."""


@dataclass(frozen=True)
class TrainingTask:
    """What a competition gives a miner to train with."""

    base: Path
    prompts: Sequence[Prompt]
    """Public prompts."""
    verifiers: Mapping[SliceName, str]
    """Name of the verifier of each slice that has one."""
    proxy: Path
    """Directory of the proxy judge."""
    sampling: Sampling
    start: Path | None = None
    """Checkpoint to start from, such as the champion's; the base when unset."""


@dataclass(frozen=True)
class Ranked:
    """One sampled answer and its value to the recipe."""

    prompt: Prompt
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    sound: bool
    value: float


def train_dpo(task: TrainingTask, target: Path, config: DpoConfig) -> DpoReport:
    """Run the recipe and write the new directory `target`: model.safetensors and its configuration.

    Raises AgonError `data_invalid` when no prompt yields a pair, `training_failed` when the loss stops
    being finite.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    answers = rank_answers(task, config)
    pairs = best_and_worst(answers, config.min_margin)
    if not pairs:
        raise AgonError("data_invalid", f"{len(answers)} answers hold no pair of clearly different value")
    history = _optimise(task, pairs, target, config)
    losses = [float(row["loss"]) for row in history if "loss" in row]
    margins = [float(row["rewards/margins"]) for row in history if "rewards/margins" in row]
    return DpoReport(
        answers=len(answers),
        sound=sum(answer.sound for answer in answers) / len(answers),
        pairs=len(pairs),
        loss_first=losses[0],
        loss_last=losses[-1],
        margin_last=margins[-1],
    )


def choose_prompts(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` prompts in their given order, taken from the slices in turn."""
    slices: dict[SliceName, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        slices[prompt.slice].append(prompt)
    longest = max(map(len, slices.values()), default=0)
    turns = [rows[turn] for turn in range(longest) for rows in slices.values() if turn < len(rows)]
    if len(turns) < count:
        raise AgonError("data_invalid", f"{count} prompts are wanted, {len(turns)} are there")
    return turns[:count]


def rank_answers(task: TrainingTask, config: DpoConfig) -> list[Ranked]:
    """Sample `config.prompts` prompts `config.samples` times each and value the answers."""
    prompts, rules = choose_prompts(task.prompts, config.prompts), task.sampling
    policy = load_policy(task.base, task.start)
    asked = [(prompt, index) for prompt in prompts for index in range(config.samples)]
    ids = {prompt.id: policy.render(prompt.text, rules.limits.prompt_tokens) for prompt in prompts}
    requests = [Request(ids[prompt.id], _seed(config.seed, prompt.id, str(index))) for prompt, index in asked]
    drawn = sample(policy, requests, rules)
    texts = [policy.text(row.token_ids[:-1] if row.finished else row.token_ids) for row in drawn]
    rewards = RewardModel(task.proxy).reward(
        [(prompt.text, text) for (prompt, _), text in zip(asked, texts, strict=True)]
    )
    slices = [prompt.slice for prompt, _ in asked]
    opinions = _standardise(rewards, slices)
    fluency = _standardise([sum(row.logprobs) / len(row.logprobs) for row in drawn], slices)
    shortest = _shortest(slices, drawn)
    ranked = []
    for index, ((prompt, _), row, text) in enumerate(zip(asked, drawn, texts, strict=True)):
        sound = _is_sound(row, text, shortest[prompt.slice])
        value = PROXY_WEIGHT * opinions[index] + FLUENCY_WEIGHT * fluency[index] + sound
        if sound and prompt.slice in task.verifiers:
            value += verify(task.verifiers[prompt.slice], text, prompt.params)
        ranked.append(Ranked(prompt, ids[prompt.id], row.token_ids, sound, value))
    return ranked


def best_and_worst(answers: Sequence[Ranked], min_margin: float) -> list[tuple[Ranked, Ranked]]:
    """The best and the worst answer to each prompt where the best is sound, largest margins first."""
    groups: dict[str, list[Ranked]] = defaultdict(list)
    for answer in answers:
        groups[answer.prompt.id].append(answer)
    pairs = []
    for group in groups.values():
        worst, *_, best = sorted(group, key=lambda answer: answer.value)
        if best.sound and best.value - worst.value > min_margin:
            pairs.append((best, worst))
    return sorted(pairs, key=lambda pair: pair[1].value - pair[0].value)


def _standardise(values: Sequence[float], slices: Sequence[SliceName]) -> list[float]:
    """Clipped z-scores of `values` within their slices."""
    found, names = np.asarray(values), np.asarray(slices)
    z = np.zeros(len(found))
    for name in set(slices):
        part = found[names == name]
        z[names == name] = (part - part.mean()) / (float(part.std()) or 1.0)
    return [float(value) for value in np.clip(z, -LIMIT, LIMIT)]


def _shortest(slices: Sequence[SliceName], drawn: Sequence[Drawn]) -> dict[SliceName, float]:
    lengths: dict[SliceName, list[int]] = defaultdict(list)
    for name, row in zip(slices, drawn, strict=True):
        lengths[name].append(len(row.token_ids))
    return {name: float(np.percentile(counts, SHORTEST_PERCENTILE)) for name, counts in lengths.items()}


def _is_sound(row: Drawn, text: str, shortest: float) -> bool:
    """Whether no gate that needs only the answer itself would close."""
    return (
        row.finished
        and len(row.token_ids) >= shortest
        and is_text(text)
        and not loops(text)
        and not compresses(text)
    )


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def _optimise(
    task: TrainingTask, pairs: Sequence[tuple[Ranked, Ranked]], target: Path, config: DpoConfig
) -> list[dict[str, Any]]:
    """Run TRL's trainer with a LoRA adapter, merge it and write `target`; returns the trainer's log."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(task.base, dtype=torch.float32, local_files_only=True)
    if task.start is not None:
        model.load_state_dict(load_file(task.start / WEIGHTS_NAME), strict=False)  # a tied head has no tensor
        model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(task.base, local_files_only=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".training-") as scratch:
        trainer = _trainer(model, tokenizer, pairs, Path(scratch), config)
        trainer.train()
        history: list[dict[str, Any]] = trainer.state.log_history
        if not all(math.isfinite(float(row["loss"])) for row in history if "loss" in row):
            raise AgonError("training_failed", "the loss is not finite")
        merged = trainer.model.merge_and_unload()
        merged.save_pretrained(Path(scratch) / "made")
        (Path(scratch) / "made").rename(target)
    return history


def _trainer(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[Ranked, Ranked]], scratch: Path, config: DpoConfig
) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    rows = [
        {"prompt_ids": best.prompt_ids, "chosen_ids": best.token_ids, "rejected_ids": worst.token_ids}
        for best, worst in pairs
    ]
    texts = [{"prompt": best.prompt.text, "chosen": "a", "rejected": "b"} for best, _ in pairs]
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(
            output_dir=str(scratch / "trainer"),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=config.batch,
            num_train_epochs=config.epochs,
            learning_rate=config.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=2,
            beta=config.beta,
            max_length=None,
            seed=config.seed,
            logging_steps=2,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list(texts),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=config.lora_rank,
            lora_alpha=2 * config.lora_rank,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    # the tokens as they were drawn: TRL would end every text with a stop token, truncated ones too, and
    # so teach the policy not to stop
    trainer.train_dataset = Dataset.from_list(rows)
    return trainer
