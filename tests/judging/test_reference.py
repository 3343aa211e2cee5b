"""Reference statistics: the numbers that were put in come out, and thin data is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import mean, pstdev

import numpy as np
import pytest

from shared.errors import AgonError
from shared.judging.reference import build_reference, length_curve, quantile, within_sd
from shared.judging.score import judge_z, midrank
from shared.protocol.competition import Judging
from shared.protocol.evidence import Completion
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName

Reply = Callable[..., Completion]
CHAT = SliceName("chat")
JUDGING = Judging(
    disagreement_penalty=0.3, gated_percentile=0.05, nll_quantile=0.99, kl_budget=30, judge_set_rounds=2
)


def data(reply: Reply, slope: float, prompts: int = 70) -> tuple[list[Prompt], list[Completion], list[float]]:
    """Two completions a prompt in two clusters; rewards rise by `slope` with length, plus noise."""
    rng = random.Random(1)
    asked, replies, rewards = [], [], []
    for number in range(prompts):
        prompt = Prompt(id=PromptId(f"p{number}"), slice=CHAT, cluster=f"c{number % 2}", text="t")
        for _ in range(2):
            tokens = rng.randint(5, 15)
            asked.append(prompt)
            replies.append(reply(tokens=tokens, nll=rng.uniform(0.5, 2)))
            rewards.append(3 + slope * tokens + rng.gauss(0, 0.2))
    return asked, replies, rewards


def test_judge_and_length_statistics_are_those_of_the_data(reply: Reply) -> None:
    asked, replies, rewards = data(reply, slope=0.1)
    built = build_reference(
        CHAT, asked, replies, raw={"a": rewards}, coefficients={"a": 1.0}, judging=JUDGING
    )
    tokens = [len(one.token_ids) for one in replies]
    assert built.completions == 140
    assert built.judges["a"].mean == pytest.approx(mean(rewards))
    assert built.judges["a"].sd == pytest.approx(pstdev(rewards))
    (_, low), *_, (_, high) = built.judges["a"].length_curve
    assert high - low > 1.5
    assert built.lengths.mean == pytest.approx(mean(tokens))
    assert (built.lengths.low, built.lengths.high) == pytest.approx(tuple(np.quantile(tokens, [0.01, 0.99])))
    assert set(built.lengths.cluster_means) == {"c0", "c1"}
    assert len(built.u_all) == 140
    assert {name: len(table) for name, table in built.u_clusters.items()} == {"c0": 70, "c1": 70}
    assert mean(midrank(u, built.u_all) for u in built.u_all) == pytest.approx(0.5)


def test_length_is_taken_out_of_a_judge_that_likes_it(reply: Reply) -> None:
    asked, replies, rewards = data(reply, slope=0.1)
    tokens = [len(one.token_ids) for one in replies]
    assert abs(np.corrcoef(tokens, rewards)[0, 1]) > 0.7
    built = build_reference(
        CHAT, asked, replies, raw={"a": rewards}, coefficients={"a": 1.0}, judging=JUDGING
    )
    judge = built.judges["a"]
    u = [
        judge_z(reward, length, prompt.cluster, judge, built.lengths)
        for reward, length, prompt in zip(rewards, tokens, asked, strict=True)
    ]
    assert abs(np.corrcoef(tokens, u)[0, 1]) < 0.2


def test_a_judge_that_prefers_short_is_left_alone(reply: Reply) -> None:
    asked, replies, rewards = data(reply, slope=-0.1)
    built = build_reference(
        CHAT, asked, replies, raw={"a": rewards}, coefficients={"a": 1.0}, judging=JUDGING
    )
    assert built.judges["a"].length_curve == ()


def test_a_verifier_slice_has_limits_and_no_scores(reply: Reply) -> None:
    asked, replies, _ = data(reply, slope=0)
    built = build_reference(CHAT, asked, replies, raw={}, coefficients={}, judging=JUDGING)
    assert (built.judges, built.u_all, built.u_clusters) == ({}, (), {})
    assert built.nll_high == pytest.approx(2, abs=0.05)


def test_one_completion_a_prompt_is_too_few(reply: Reply) -> None:
    asked, replies, rewards = data(reply, slope=0)
    with pytest.raises(AgonError) as caught:
        build_reference(
            CHAT, asked[::2], replies[::2], raw={"a": rewards[::2]}, coefficients={"a": 1.0}, judging=JUDGING
        )
    assert caught.value.code == "data_invalid"


@pytest.mark.parametrize("reward", [1.0, float("nan")])
def test_a_judge_that_tells_nothing_apart_is_refused(reply: Reply, reward: float) -> None:
    asked, replies, _ = data(reply, slope=0)
    with pytest.raises(AgonError) as caught:
        build_reference(
            CHAT, asked, replies, raw={"a": [reward] * len(asked)}, coefficients={"a": 1.0}, judging=JUDGING
        )
    assert caught.value.code == "judge_invalid"


def test_small_pieces() -> None:
    assert within_sd([[1, 3], [10, 12]]) == pytest.approx(2**0.5)
    eight = [float(x) for x in range(4) for _ in range(8)]
    assert length_curve(eight, [z for z in (1.0, 3.0, 2.0, 5.0) for _ in range(8)]) == (
        (0, 1),
        (1, 2.5),
        (2, 2.5),
        (3, 5),
    )
    assert length_curve([0, 1, 2], [5, 3, 1]) == ()
    assert length_curve([1, 1], [1, 2]) == ()
    assert [quantile([3, 1, 2], share) for share in (0, 0.25, 0.5, 1)] == [1, 1.5, 2, 3]
