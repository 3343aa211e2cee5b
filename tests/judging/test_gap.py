"""The reward-hacking alarm: it rings for what only the proxy likes, and stays silent for honest progress."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.proxy_gap import GAP_LIMIT, LEVEL, Gap, measure_gap, rises

RISES = st.lists(st.floats(-5, 5), min_size=2, max_size=30)


def test_gap_is_what_a_person_would_compute():
    assert measure_gap([1.0, 2.0, 3.0], [0.0, 0.5, 1.0]) == Gap(
        prompts=3, proxy=2.0, held_out=0.5, gap=1.5, lower=1.5 - LEVEL * math.sqrt(0.25 / 3)
    )


def test_a_policy_that_only_the_proxy_likes_rings_the_alarm():
    rng = np.random.default_rng(0)
    hacked = measure_gap((rng.normal(1.5, 1, 128)).tolist(), rng.normal(-0.2, 1, 128).tolist())
    assert hacked.alarm


def test_an_improvement_that_both_like_rings_nothing():
    rng = np.random.default_rng(0)
    both = rng.normal(1.5, 1, 128)
    assert not measure_gap(both.tolist(), (both - 0.3 + rng.normal(0, 1, 128)).tolist()).alarm


def test_a_copy_rings_in_less_than_one_of_a_thousand_duels():
    rng = np.random.default_rng(0)
    duels = rng.normal(0, 1, (1000, 2, 64))
    assert sum(measure_gap(proxy.tolist(), held.tolist()).alarm for proxy, held in duels) <= 1


@given(RISES)
def test_the_same_rise_under_both_is_no_gap(rises: list[float]) -> None:
    gap = measure_gap(rises, rises)
    assert (gap.gap, gap.lower, gap.alarm) == (0.0, 0.0, False)


@given(RISES, st.floats(-3, 3))
def test_the_bound_moves_with_the_gap(rises: list[float], step: float) -> None:
    moved = measure_gap([rise + step for rise in rises], [0.0] * len(rises))
    still = measure_gap(rises, [0.0] * len(rises))
    assert moved.lower - still.lower == pytest.approx(step, abs=1e-9)
    assert moved.alarm == (moved.lower > GAP_LIMIT)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(AgonError) as caught:
        measure_gap([0.0, math.nan], [0.0, 0.0])
    assert caught.value.code == "judge_non_finite"


def test_one_prompt_is_no_measurement():
    with pytest.raises(ValueError):
        measure_gap([1.0], [0.0])


def test_a_rise_is_told_in_the_champions_own_spread():
    assert rises([[4.0], [2.0, 4.0]], [[1.0, 3.0], [1.0, 3.0]]) == [2.0, 1.0]


def test_a_judge_that_tells_nothing_apart_is_refused():
    with pytest.raises(AgonError) as caught:
        rises([[1.0]], [[2.0, 2.0]])
    assert caught.value.code == "judge_invalid"
