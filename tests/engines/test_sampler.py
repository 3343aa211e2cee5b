"""The sampler: a completion depends on policy, prompt and seed, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from shared.engines.hf import Policy, load_policy
from shared.engines.sampler import Request, draw, sample, score_tokens, uniforms
from shared.errors import AgonError, Rejection
from shared.protocol.competition import Sampling

pytestmark = pytest.mark.torch

TEXTS = [
    "honey?",
    "What is a lantern?",
    "a",
    "Describe a river in one short sentence.",
    "Why do people like honey?",
]


def with_batch(rules: Sampling, batch: int) -> Sampling:
    return rules.model_copy(update={"engine": rules.engine.model_copy(update={"batch": batch})})


def requests(policy: Policy, count: int) -> list[Request]:
    return [Request(policy.render(TEXTS[i % len(TEXTS)] + "!" * (i % 7), 200), i) for i in range(count)]


def test_the_same_seed_draws_the_same_tokens(base_policy: Policy, sampling: Sampling) -> None:
    asked = requests(base_policy, 9)
    assert sample(base_policy, asked, sampling) == sample(base_policy, asked, sampling)


@pytest.mark.parametrize("batch", [1, 3, 8, 64])
def test_a_completion_does_not_depend_on_its_batch(
    base_policy: Policy, sampling: Sampling, batch: int
) -> None:
    asked = requests(base_policy, 40)
    alone = [sample(base_policy, [one], sampling)[0] for one in asked]
    together = sample(base_policy, asked, with_batch(sampling, batch))
    assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    assert [one.finished for one in together] == [one.finished for one in alone]
    assert {one.finished for one in together} == {True, False}


def test_a_completion_does_not_depend_on_the_order_of_requests(
    base_policy: Policy, sampling: Sampling
) -> None:
    asked = requests(base_policy, 20)
    forward = sample(base_policy, asked, sampling)
    backward = sample(base_policy, asked[::-1], sampling)
    assert [one.token_ids for one in forward] == [one.token_ids for one in backward[::-1]]


def test_long_runs_reuse_the_columns_of_finished_rows(base_policy: Policy, sampling: Sampling) -> None:
    asked = requests(base_policy, 120)
    alone = [sample(base_policy, [one], sampling)[0].token_ids for one in asked]
    assert [one.token_ids for one in sample(base_policy, asked, with_batch(sampling, 3))] == alone


def test_a_prompt_without_the_shared_prefix_is_read_whole(base_policy: Policy, sampling: Sampling) -> None:
    plain, rendered = Request((5, 6, 7, 8), 1), requests(base_policy, 1)[0]
    alone = [sample(base_policy, [one], sampling)[0].token_ids for one in (plain, rendered)]
    assert [one.token_ids for one in sample(base_policy, [plain, rendered], sampling)] == alone


def test_tokens_match_a_plain_forward_pass(base_policy: Policy, sampling: Sampling) -> None:
    """Every drawn token wins the race over the model's own logits, read without any cache."""
    for asked in requests(base_policy, 6):
        drawn = sample(base_policy, [asked], sampling)[0]
        for step, token in enumerate(drawn.token_ids):
            ids = torch.tensor([[*asked.prompt_ids, *drawn.token_ids[:step]]])
            logits = base_policy._model(input_ids=ids).logits[:, -1]
            points = uniforms(asked.seed, step, logits.shape[1])[None]
            assert draw(logits, points, sampling.temperature)[0] == [token]


def test_draws_follow_the_softmax() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0, 0.5, -30.0]])
    count, temperature = 20_000, 0.7
    points = uniforms(11, 0, count * 6).reshape(count, 6)
    tokens, logprobs = draw(logits.expand(count, -1), points, temperature)
    expected = torch.softmax(logits[0].double() / temperature, 0).numpy()
    seen = np.bincount(tokens, minlength=6)
    assert seen[5] == 0
    assert chisquare(seen[:5], expected[:5] / expected[:5].sum() * count).pvalue > 1e-3
    assert logprobs[0] == pytest.approx(float(np.log(expected[tokens[0]])))


def test_a_stop_token_ends_a_completion_and_stays_its_last_id(
    base_policy: Policy, sampling: Sampling
) -> None:
    drawn = sample(base_policy, requests(base_policy, 60), with_batch(sampling, 16))
    for one in drawn:
        assert one.finished == (one.token_ids[-1] in sampling.stop_ids)
        assert not set(one.token_ids[:-1]) & set(sampling.stop_ids)
        assert one.finished or len(one.token_ids) == sampling.limits.new_tokens
        assert len(one.logprobs) == len(one.token_ids)


def test_teacher_forcing_agrees_with_sampling(base_policy: Policy, sampling: Sampling) -> None:
    asked = requests(base_policy, 12)
    drawn = sample(base_policy, asked, sampling)
    pairs = [(one.prompt_ids, answer.token_ids) for one, answer in zip(asked, drawn, strict=True)]
    for scored, one in zip(score_tokens(base_policy, pairs, sampling), drawn, strict=True):
        assert scored == pytest.approx(list(one.logprobs), abs=1e-4)


def test_an_empty_completion_has_no_logprobs(base_policy: Policy, sampling: Sampling) -> None:
    assert score_tokens(base_policy, [((4, 5), ()), ((4, 5), (6,))], sampling)[0] == []


def test_a_policy_that_is_not_finite_is_rejected(other_dir: Path, base_dir: Path, sampling: Sampling) -> None:
    policy = load_policy(base_dir, other_dir)
    policy._model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(Rejection, match="not finite"):
        sample(policy, requests(policy, 2), sampling)
    with pytest.raises(Rejection, match="not finite"):
        score_tokens(policy, [((4, 5), (6, 7))], sampling)


def test_a_prompt_above_the_limit_is_refused_and_not_cut(base_policy: Policy) -> None:
    with pytest.raises(AgonError, match="competition allows 20"):
        base_policy.render("word " * 50, 20)


def philox_block(counter: int, key: int) -> list[int]:
    """Philox4x64-10 of Salmon et al. 2011, written out: another machine must draw these words."""
    mask = 2**64 - 1
    x, k = [counter & mask, counter >> 64, 0, 0], [key & mask, 0]
    for _ in range(10):
        low, high = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(high >> 64) ^ x[1] ^ k[0], high & mask, (low >> 64) ^ x[3] ^ k[1], low & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return x


def test_uniforms_are_those_of_philox() -> None:
    seed, step = 2**53 - 12345, 3
    words = philox_block(1 + (step << 64), seed) + philox_block(2 + (step << 64), seed)
    assert uniforms(seed, step, 8).tolist() == [(word >> 11) / 2**53 for word in words]


def test_nearly_equal_policies_draw_the_same_tokens() -> None:
    """Logits that differ by float noise part the draws about as seldom as the probabilities differ."""
    generator = np.random.default_rng(5)
    logits = torch.tensor(generator.normal(0.0, 3.0, (200, 4096)), dtype=torch.float32)
    noise = torch.tensor(generator.normal(0.0, 1e-4, (200, 4096)), dtype=torch.float32)
    points = np.stack([uniforms(seed, 0, 4096) for seed in range(200)])
    assert draw(logits, points, 0.8)[0] == draw(logits + noise, points, 0.8)[0]
