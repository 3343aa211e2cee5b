"""The real children with real tiny models: the same numbers as in-process, and both borders hold."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.engines.engine import CompletionJob
from shared.engines.hf import load_policy
from shared.engines.sampler import Request, sample, score_tokens
from shared.errors import AgonError, Rejection
from shared.judging.families.reward_model import RewardModel
from shared.protocol.competition import Sampling
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.types import JudgeName

pytestmark = pytest.mark.torch

JOBS = [CompletionJob("honey?", 3), CompletionJob("What is a lantern?", 4), CompletionJob("honey?", 5)]
PAIRS = [("what is honey", "sweet"), ("why", "because it is so"), ("a", "b c d")]
MINI = JudgeName("mini")


@pytest.fixture(scope="module")
def sampler(
    base_dir: Path, sampling: Sampling, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SamplerChild]:
    with SamplerChild(base_dir, sampling, tmp_path_factory.mktemp("log") / "sampler.log") as child:
        yield child


@pytest.fixture(scope="module")
def judges(judge_dir: Path, two_label_dir: Path) -> Iterator[JudgeChild]:
    with JudgeChild({MINI: judge_dir, JudgeName("two"): two_label_dir}) as child:
        yield child


def test_the_child_draws_what_the_sampler_draws(
    sampler: SamplerChild, base_dir: Path, other_dir: Path, sampling: Sampling
) -> None:
    policy, base = load_policy(base_dir, other_dir), load_policy(base_dir)
    asked = [Request(policy.render(job.text, 200), job.seed) for job in JOBS]
    drawn = sample(policy, asked, sampling)
    scored = score_tokens(
        base, [(a.prompt_ids, d.token_ids) for a, d in zip(asked, drawn, strict=True)], sampling
    )
    answers = sampler.complete(other_dir, JOBS)
    assert [one.token_ids for one in answers] == [one.token_ids for one in drawn]
    assert [one.logprob for one in answers] == pytest.approx([sum(one.logprobs) for one in drawn], abs=1e-4)
    assert [one.base_logprob for one in answers] == pytest.approx([sum(row) for row in scored], abs=1e-4)
    assert all(one.kl != 0 for one in answers)


def test_the_base_has_no_distance_to_itself(sampler: SamplerChild, base_dir: Path) -> None:
    answers = sampler.complete(base_dir, JOBS)
    assert [one.kl for one in answers] == [0.0] * len(JOBS)
    assert sampler.complete(base_dir, JOBS) == answers
    assert sampler.complete(base_dir, []) == []


def test_more_policies_than_places_are_all_answered(
    sampler: SamplerChild, base_dir: Path, tmp_path: Path
) -> None:
    tensors = load_file(base_dir / "model.safetensors")
    wanted, copies = sampler.complete(base_dir, JOBS), []
    for number in range(5):
        copies.append(tmp_path / str(number))
        copies[-1].mkdir()
        save_file(tensors, copies[-1] / "model.safetensors")
    for copy in [*copies, copies[0]]:
        assert [one.token_ids for one in sampler.complete(copy, JOBS)] == [one.token_ids for one in wanted]


def test_weights_written_again_are_read_again(
    sampler: SamplerChild, base_dir: Path, other_dir: Path, tmp_path: Path
) -> None:
    shutil.copy(base_dir / "model.safetensors", tmp_path)
    first = sampler.complete(tmp_path, JOBS)
    shutil.copyfile(other_dir / "model.safetensors", tmp_path / "new")
    (tmp_path / "new").replace(tmp_path / "model.safetensors")
    assert sampler.complete(tmp_path, JOBS) != first


def test_a_policy_that_is_not_finite_is_a_rejection_and_the_child_lives(
    sampler: SamplerChild, base_dir: Path, tmp_path: Path
) -> None:
    tensors = load_file(base_dir / "model.safetensors")
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("inf"))
    save_file(tensors, tmp_path / "model.safetensors")
    sampler.complete(base_dir, JOBS)
    before = sampler.pid
    with pytest.raises(Rejection) as caught:
        sampler.complete(tmp_path, JOBS)
    assert caught.value.code == "non_finite_policy"
    sampler.complete(base_dir, JOBS)
    assert sampler.pid == before


def test_a_prompt_that_is_too_long_is_the_competitions_fault(sampler: SamplerChild, base_dir: Path) -> None:
    with pytest.raises(AgonError) as caught:
        sampler.complete(base_dir, [CompletionJob("honey " * 300, 1)])
    assert caught.value.code == "competition_invalid"


def test_the_judging_child_returns_the_judges_rewards(judges: JudgeChild, judge_dir: Path) -> None:
    rewards = judges.reward(MINI, PAIRS)
    assert rewards == pytest.approx(RewardModel(judge_dir).reward(PAIRS), abs=1e-5)
    assert judges.reward(MINI, PAIRS[::-1]) == pytest.approx(rewards[::-1], abs=1e-5)
    assert judges.reward(MINI, []) == []


def test_a_classifier_with_two_labels_cannot_judge(judges: JudgeChild) -> None:
    with pytest.raises(AgonError) as caught:
        judges.reward(JudgeName("two"), PAIRS)
    assert caught.value.code == "judge_invalid"


def test_a_judge_that_is_not_finite_raises(judge_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(judge_dir, tmp_path / "nan")
    tensors = load_file(judge_dir / "model.safetensors")
    tensors["classifier.bias"] = torch.tensor([float("nan")])
    save_file(tensors, tmp_path / "nan" / "model.safetensors")
    with JudgeChild({MINI: tmp_path / "nan"}) as child, pytest.raises(AgonError) as caught:
        child.reward(MINI, PAIRS)
    assert caught.value.code == "judge_non_finite"
