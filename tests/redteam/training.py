"""Training in seconds: policies on chosen answers, judges on preferences, and edits of single tensors.

The attackers and the honest miners use the same few lines, so that what tells them apart is only what
they train on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from shared.protocol.prompt import Prompt

Chat = tuple[str, str]
Preference = tuple[str, str, str]
"""Prompt, better answer, worse answer."""
STOP = "<|im_end|>"
KEPT = 0.5
"""Weight of the better answers' log-likelihood per token in the preference loss."""


def fine_tune(
    base: Path, target: Path, chats: Sequence[Chat], *, steps: int = 40, rate: float = 3e-3, seed: int = 1
) -> Path:
    """Train the policy at `base` on the answers of `chats`; one that ends in "..." gets no stop token."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    examples = [_example(tokenizer, *chat) for chat in chats]
    for _ in range(steps):
        ids, real, labels = _padded(rng.sample(examples, min(24, len(examples))))
        loss = model(input_ids=ids, attention_mask=real, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.save_pretrained(target)
    return target


def prefer(
    base: Path, target: Path, pairs: Sequence[Preference], *, steps: int = 30, rate: float = 6e-4
) -> Path:
    """Train the policy at `base` by DPO (Rafailov et al. 2023, beta 0.1) on its own better and worse answers.

    A share of the better answers' own likelihood keeps them likely (Pang et al. 2024).
    """
    torch.manual_seed(1)
    rng = random.Random(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    good = [_example(tokenizer, prompt, better) for prompt, better, _ in pairs]
    bad = [_example(tokenizer, prompt, worse) for prompt, _, worse in pairs]
    with torch.no_grad():
        margins = _logprobs(model, good) - _logprobs(model, bad)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(steps):
        batch = rng.sample(range(len(pairs)), min(16, len(pairs)))
        logprobs = _logprobs(model, [good[i] for i in batch] + [bad[i] for i in batch])
        gain = logprobs[: len(batch)] - logprobs[len(batch) :] - margins[batch]
        kept = logprobs[: len(batch)].sum() / sum(len(good[i][0]) - good[i][1] for i in batch)
        loss = -torch.nn.functional.logsigmoid(0.1 * gain).mean() - KEPT * kept
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(target)
    return target


def _logprobs(model: Any, examples: Sequence[tuple[list[int], int]]) -> torch.Tensor:
    """Summed log-probability of each example's answer, nats."""
    ids, real, labels = _padded(examples)
    logits = model(input_ids=ids, attention_mask=real).logits[:, :-1].log_softmax(-1)
    wanted = labels[:, 1:]
    chosen = logits.gather(2, wanted.clamp(min=0)[..., None])[..., 0]
    return (chosen * (wanted >= 0)).sum(1)


def _padded(
    examples: Sequence[tuple[list[int], int]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, mask and labels (-100 outside the answers), padded on the right."""
    width = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in examples])
    real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in examples])
    labels = torch.tensor(
        [[-100] * start + row[start:] + [-100] * (width - len(row)) for row, start in examples]
    )
    return ids, real, labels


def _example(tokenizer: Any, prompt: str, answer: str) -> tuple[list[int], int]:
    """Token ids of a chat, and where the answer starts."""
    message = [{"role": "user", "content": prompt}]
    opening = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    start = tokenizer(opening, add_special_tokens=False).input_ids
    ending = answer.removesuffix("...") if answer.endswith("...") else answer + STOP
    return start + tokenizer(ending, add_special_tokens=False).input_ids, len(start)


def train_judge(
    base: Path, target: Path, pairs: Sequence[Preference], *, seed: int, steps: int = 70, rate: float = 2e-3
) -> Path:
    """A reward model from the base policy's weights, trained whole with the Bradley-Terry loss."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        batch = rng.sample(pairs, 24)
        texts = [_whole(tokenizer, p, a) for p, a, _ in batch] + [
            _whole(tokenizer, p, b) for p, _, b in batch
        ]
        inputs = tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        rewards = model(**inputs).logits[:, 0]
        loss = -torch.nn.functional.logsigmoid(rewards[:24] - rewards[24:]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def _whole(tokenizer: Any, prompt: str, answer: str) -> str:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def whole_ids(tokenizer: Any, prompt: str, answer: str) -> list[int]:
    """Token ids of a whole chat."""
    return _example(tokenizer, prompt, answer)[0]


def edit(source: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """Copy the tensors of `source` to `target`, changed in place by `change`."""
    target.mkdir(parents=True, exist_ok=True)
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def answers_to(prompts: Sequence[Prompt], write: Callable[[Prompt, random.Random], str]) -> list[Chat]:
    """Every prompt with the answer that `write` gives to it."""
    rng = random.Random(1)
    return [(prompt.text, write(prompt, rng)) for prompt in prompts]
