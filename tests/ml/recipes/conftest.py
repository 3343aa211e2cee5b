"""A tiny world for recipes: base, trunk, judge pairs and sampling rules, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from miner.train.task import TrainingTask
from shared.evaluation.hf import Policy, load_policy
from shared.evaluation.pools import Purpose, load_prompt_source, make_pool
from shared.evaluation.sampler import Request, sample
from shared.evaluation.tiny import build_tiny_policy, build_tiny_trunk
from shared.models.competition import Engine, SampleCounts, Sampling, SamplingLimits
from shared.models.prompt import Prompt
from shared.types import SliceName
from validator.judge_training import PROXY_MIX, Answer, JudgeRecipe, corrupt, train_judge

TINY_JUDGE = JudgeRecipe(learning_rate=1e-2)

Ask = Callable[[Purpose, int], list[Answer]]


def prompts_of(purpose: Purpose, count: int) -> list[Prompt]:
    """`count` prompts of every slice."""
    source = load_prompt_source()
    return [prompt for name in source.slices for prompt in make_pool(source, name, purpose, count)]


@pytest.fixture(scope="session")
def rules() -> Sampling:
    """Sampling as in the demo competition."""
    return Sampling(
        limits=SamplingLimits(prompt_tokens=96, new_tokens=24),
        temperature=0.8,
        samples=SampleCounts(challenger=1, champion=2),
        engine=Engine(threads=1, batch=64),
        stop_ids=(2,),
    )


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model of seed 1."""
    target = tmp_path_factory.mktemp("tiny") / "base"
    build_tiny_policy(1, target)
    return target


@pytest.fixture(scope="session")
def tiny_trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny judge trunk of seed 1."""
    target = tmp_path_factory.mktemp("tiny") / "trunk"
    build_tiny_trunk(1, target)
    return target


@pytest.fixture(scope="session")
def tiny_policy(tiny_base: Path) -> Policy:
    """The tiny base model, loaded."""
    return load_policy(tiny_base)


@pytest.fixture(scope="session")
def ask(tiny_policy: Policy, rules: Sampling) -> Ask:
    """The base's finished answers to `count` prompts of every slice."""

    def answers(purpose: Purpose, count: int) -> list[Answer]:
        prompts = prompts_of(purpose, count)
        requests = [Request(tiny_policy.render(prompt.text, 96), seed) for seed, prompt in enumerate(prompts)]
        drawn = sample(tiny_policy, requests, rules)
        return [
            Answer(prompt.text, tiny_policy.text(row.token_ids[:-1]))
            for prompt, row in zip(prompts, drawn, strict=True)
            if row.finished
        ]

    return answers


@pytest.fixture
def task(tiny_base: Path, tiny_proxy: Path, rules: Sampling) -> TrainingTask:
    """A miner's task on the tiny base."""
    return TrainingTask(
        base=tiny_base,
        prompts=prompts_of("public", 60),
        verifiers={SliceName("constraints"): "word-limit-1"},
        proxy=tiny_proxy,
        sampling=rules,
    )


@pytest.fixture(scope="session")
def unseen() -> Callable[[int], list[Prompt]]:
    """Prompts of words that no recipe trains on, in equal shares from every slice."""

    def prompts(count: int) -> list[Prompt]:
        return prompts_of("reference", count // 2)

    return prompts


@pytest.fixture(scope="session")
def tiny_proxy(tmp_path_factory: pytest.TempPathFactory, tiny_trunk: Path, ask: Ask) -> Path:
    """A proxy judge for the tiny base."""
    target = tmp_path_factory.mktemp("tiny") / "proxy"
    return train_judge(tiny_trunk, corrupt(ask("proxy", 96), PROXY_MIX, seed=1), target, 1, TINY_JUDGE)
