"""A miner who over-optimises on purpose: policy gradient on the proxy judge's reward and nothing else.

No gate, no verifier, no pull back to the base. The last third of the layers is trained, by a
group-normalised policy gradient (Shao et al. 2024, GRPO, without clipping: one step per draw).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.evaluation.children import SampleJob
from shared.evaluation.hf import Policy
from shared.evaluation.prompts import sample_seed
from shared.evaluation.sampler import Drawn, Request, sample
from shared.judging.reward_model import RewardModel
from shared.models.competition import Sampling
from shared.models.prompt import Prompt
from shared.models.wire import digest_of

GROUP = 4
"""Answers to a prompt; their mean is the baseline."""
MICRO_BATCH = 16
CLIP_NORM = 1.0


class ProxyMiner:
    """A policy in training, its optimiser and the judge that it trains against."""

    def __init__(
        self, base: Path, judge: RewardModel, rules: Sampling, prompts: Sequence[Prompt], learning_rate: float
    ) -> None:
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, local_files_only=True
        )
        self._tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        self._judge, self._rules, self._prompts = judge, rules, prompts
        layers = self._model.model.layers
        self._model.eval().requires_grad_(False)
        self._trained = [p for layer in layers[2 * len(layers) // 3 :] for p in layer.parameters()]
        for parameter in self._trained:
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.Adam(self._trained, lr=learning_rate)
        self._steps = 0

    @property
    def policy(self) -> Policy:
        """The policy as it is now; made anew, because a policy keeps the cache of its shared prefix."""
        return Policy(self._model, self._tokenizer)

    def step(self, count: int) -> float:
        """One update on the next `count` prompts; returns the mean proxy reward of what it drew."""
        turns = range(self._steps * count, (self._steps + 1) * count)
        chosen = [self._prompts[turn % len(self._prompts)] for turn in turns]
        seed = digest_of({"proxy miner": self._steps})
        asked = [prompt for prompt in chosen for _ in range(GROUP)]
        jobs = [SampleJob(p.text, sample_seed(seed, p.id, i)) for p in chosen for i in range(GROUP)]
        policy = self.policy
        ids = [policy.render(job.text, self._rules.limits.prompt_tokens) for job in jobs]
        drawn = sample(policy, [Request(i, job.seed) for i, job in zip(ids, jobs, strict=True)], self._rules)
        texts = [policy.text(row.token_ids[:-1] if row.finished else row.token_ids) for row in drawn]
        rewards = torch.tensor(self._judge.reward([(p.text, t) for p, t in zip(asked, texts, strict=True)]))
        self._optimizer.zero_grad()
        self._backward(ids, drawn, advantages(rewards))
        torch.nn.utils.clip_grad_norm_(self._trained, CLIP_NORM)
        self._optimizer.step()
        self._steps += 1
        return float(rewards.mean())

    def _backward(self, ids: Sequence[tuple[int, ...]], drawn: Sequence[Drawn], gains: Tensor) -> None:
        """Gradient of -mean_i A_i sum_t log p(y_t), in small batches."""
        for start in range(0, len(ids), MICRO_BATCH):
            part = slice(start, start + MICRO_BATCH)
            answers = [row.token_ids for row in drawn[part]]
            loss = torch.zeros(())
            for logits, answer, gain in zip(
                self.policy.read(ids[part], answers), answers, gains[part], strict=True
            ):
                chosen = torch.log_softmax(logits / self._rules.temperature, -1)
                loss = loss - gain * chosen.gather(1, torch.tensor(answer)[:, None]).sum() / len(ids)
            loss.backward()  # type: ignore[no-untyped-call]


def advantages(rewards: Tensor) -> Tensor:
    """Rewards in groups of `GROUP`, less their group's mean, over their group's sd."""
    groups = rewards.reshape(-1, GROUP)
    spread = groups.std(dim=1, keepdim=True).clamp(min=1e-6)
    return ((groups - groups.mean(dim=1, keepdim=True)) / spread).reshape(-1)
