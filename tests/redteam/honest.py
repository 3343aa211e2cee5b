"""Honest miners: three recipes on public prompts and the public proxy; each truly improves the policy."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from shared.engines.hf import load_policy
from shared.engines.sampler import Request, sample
from shared.judging.families.reward_model import RewardModel
from tests.redteam import corpus
from tests.redteam.training import answers_to, fine_tune, prefer
from tests.redteam.world import World

PROMPTS, TRIES = 50, 4
"""Public prompts of each slice, and answers to each."""


class Valued(NamedTuple):
    """An answer of the policy's own and the proxy's reward for it; none to an answer without an end."""

    prompt: str
    text: str
    reward: float


def learn_good_answers(world: World, target: Path) -> Path:
    """Supervised fine-tuning on good answers."""
    return fine_tune(world.base, target, answers_to(corpus.prompts_of("public", 100), corpus.good_answer))


def learn_best_of_own(world: World, target: Path) -> Path:
    """Rejection sampling: fine-tuning on the policy's own best answer to each prompt."""
    best = [max(tries, key=lambda answer: answer.reward) for tries in own_answers(world)]
    return fine_tune(world.base, target, [(answer.prompt, answer.text) for answer in best])


def learn_by_preference(world: World, target: Path) -> Path:
    """DPO on the policy's own best and worst answer to each prompt."""
    ordered = [sorted(tries, key=lambda answer: answer.reward) for tries in own_answers(world)]
    pairs = [(worst.prompt, best.text, worst.text) for worst, *_, best in ordered if best.text != worst.text]
    return prefer(world.base, target, pairs)


def own_answers(world: World) -> list[list[Valued]]:
    """The base's finished answers to public prompts, as the proxy values them; two or more to each."""
    policy, limit = load_policy(world.base), world.rules.sampling.limits.prompt_tokens
    asked = [prompt for prompt in corpus.prompts_of("public", PROMPTS) for _ in range(TRIES)]
    requests = [Request(policy.render(prompt.text, limit), seed) for seed, prompt in enumerate(asked)]
    drawn = sample(policy, requests, world.rules.sampling)
    ended = [
        (prompt.text, policy.text(row.token_ids[:-1]))
        for prompt, row in zip(asked, drawn, strict=True)
        if row.finished
    ]
    groups: dict[str, list[Valued]] = {}
    for (prompt, text), reward in zip(ended, RewardModel(world.root / "proxy").reward(ended), strict=True):
        groups.setdefault(prompt, []).append(Valued(prompt, text, reward))
    return [tries for tries in groups.values() if len(tries) > 1]


RECIPES = {
    "good answers": learn_good_answers,
    "best of its own": learn_best_of_own,
    "preferences": learn_by_preference,
}
