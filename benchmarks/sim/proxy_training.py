"""A miner who over-optimises on purpose: DPO on the proxy judge's opinion and nothing else.

The base's completions that the proxy likes best are set against those it likes least, again and again: no
gate, no verifier, no early stop. The last third of the layers is trained (Rafailov et al. 2023, DPO).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.duels.draw import completion_seed
from shared.engines.engine import CompletionJob
from shared.engines.hf import Policy
from shared.engines.sampler import Request, sample
from shared.judging.families.reward_model import RewardModel
from shared.protocol.competition import Sampling
from shared.protocol.prompt import Prompt
from shared.protocol.wire import digest_of

SEED = digest_of({"proxy miner": 0})
PULL = 0.1
"""DPO's beta."""
CLIP_NORM = 1.0

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """How much the miner draws and how hard it pushes."""

    prompts: int
    samples: int
    pairs: int
    """In every step."""
    learning_rate: float


@dataclass(frozen=True)
class RankedCompletions:
    """Token ids of two completions of one prompt, in the order that the proxy gives them."""

    prompt: Ids
    chosen: Ids
    rejected: Ids
    base_margin: float
    """log p(chosen) - log p(rejected) under the base."""


class ProxyMiner:
    """A policy in training, its pairs and its optimiser."""

    def __init__(
        self, base: Path, judge: RewardModel, rules: Sampling, prompts: Sequence[Prompt], recipe: Recipe
    ) -> None:
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, local_files_only=True
        )
        self._tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        self._rules, self._recipe, self._steps = rules, recipe, 0
        layers = self._model.model.layers
        self._model.eval().requires_grad_(False)
        self._pairs = self._rank(judge, prompts[: recipe.prompts])
        self._trained = [p for layer in layers[2 * len(layers) // 3 :] for p in layer.parameters()]
        for parameter in self._trained:
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.Adam(self._trained, lr=recipe.learning_rate)

    @property
    def policy(self) -> Policy:
        """The policy as it is now; made anew, because a policy keeps the cache of its shared prefix."""
        return Policy(self._model, self._tokenizer)

    def step(self) -> float:
        """One update on the next pairs; returns its loss."""
        turns = range(self._steps * self._recipe.pairs, (self._steps + 1) * self._recipe.pairs)
        batch = [self._pairs[turn % len(self._pairs)] for turn in turns]
        base = torch.tensor([pair.base_margin for pair in batch])  # [pairs]
        self._optimizer.zero_grad()
        # -log sigmoid(beta (policy's margin - base's margin))
        loss = -torch.nn.functional.logsigmoid(PULL * (self._margins(batch) - base)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._trained, CLIP_NORM)
        self._optimizer.step()
        self._steps += 1
        return float(loss.detach())

    def _rank(self, judge: RewardModel, prompts: Sequence[Prompt]) -> list[RankedCompletions]:
        """The base's best and worst completion of every prompt, by the proxy alone."""
        policy, count = self.policy, self._recipe.samples
        jobs = [
            CompletionJob(p.text, completion_seed(SEED, p.id, index))
            for p in prompts
            for index in range(count)
        ]
        ids = [policy.render(job.text, self._rules.limits.prompt_tokens) for job in jobs]
        drawn = sample(policy, [Request(i, job.seed) for i, job in zip(ids, jobs, strict=True)], self._rules)
        texts = [policy.text(row.token_ids[:-1] if row.finished else row.token_ids) for row in drawn]
        rewards = judge.reward([(job.text, text) for job, text in zip(jobs, texts, strict=True)])
        pairs = []
        for start in range(0, len(jobs), count):
            group = sorted(range(start, start + count), key=lambda index: rewards[index])
            worst, best = drawn[group[0]], drawn[group[-1]]
            pairs.append(RankedCompletions(ids[start], best.token_ids, worst.token_ids, 0.0))
        with torch.no_grad():
            margins = [float(self._margins([pair])[0]) for pair in pairs]
        return [replace(pair, base_margin=margin) for pair, margin in zip(pairs, margins, strict=True)]

    def _margins(self, pairs: Sequence[RankedCompletions]) -> Tensor:
        """log p(chosen) - log p(rejected) [pairs] at the sampling temperature."""
        completions = [ids for pair in pairs for ids in (pair.chosen, pair.rejected)]
        logits = self.policy.read([pair.prompt for pair in pairs for _ in range(2)], completions)
        sums = [
            torch.log_softmax(row / self._rules.temperature, -1)  # [tokens, vocab]
            .gather(1, torch.tensor(ids)[:, None])  # [tokens, 1]
            .sum()
            for row, ids in zip(logits, completions, strict=True)
        ]
        return torch.stack(sums[0::2]) - torch.stack(sums[1::2])
