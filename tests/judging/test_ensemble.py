"""The ensemble: bounded, monotone, deaf to length games, and shut to numbers that are not finite."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.score import (
    aggregate,
    gated_score,
    judge_z,
    length_pay,
    midrank,
    percentile,
    standardise,
)
from shared.protocol.reference import JudgeReference, LengthReference, Reference

NUMBERS = st.floats(-1e6, 1e6)
TABLES = st.lists(NUMBERS, min_size=1, max_size=50).map(sorted)


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_raises(reward: float) -> None:
    with pytest.raises(AgonError) as caught:
        standardise(reward, 0, 1)
    assert caught.value.code == "judge_non_finite"


@given(value=NUMBERS, other=NUMBERS, table=TABLES)
def test_the_percentile_is_monotone_and_in_range(value: float, other: float, table: list[float]) -> None:
    low, high = sorted((value, other))
    assert 0 <= midrank(low, table) <= midrank(high, table) <= 1


@given(TABLES)
def test_the_reference_itself_scores_one_half_on_average(table: list[float]) -> None:
    assert sum(midrank(value, table) for value in table) / len(table) == pytest.approx(0.5)


def test_ties_share_their_rank() -> None:
    assert midrank(1.0, [0.0, 1.0, 1.0, 2.0]) == 0.5


CURVES = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), max_size=8).map(
    lambda points: tuple(
        zip(sorted({x / 10 for x, _ in points}), sorted(z / 10 for _, z in points), strict=False)
    )
)


@given(term=st.floats(-1e3, 1e3), curve=CURVES)
def test_what_length_pays_stays_inside_the_curve(term: float, curve: tuple[tuple[float, float], ...]) -> None:
    pay = length_pay(term, curve)
    assert min((z for _, z in curve), default=0) - 1e-9 <= pay <= max((z for _, z in curve), default=0) + 1e-9
    for x, z in curve:
        assert length_pay(x, curve) == pytest.approx(z)


@given(short=st.integers(1, 500), extra=st.integers(1, 500), curve=CURVES)
def test_longer_completions_with_the_same_reward_never_score_more(
    short: int, extra: int, curve: tuple[tuple[float, float], ...]
) -> None:
    judge = JudgeReference(mean=0, sd=1, length_curve=curve)
    lengths = LengthReference(mean=100, within_sd=20, low=0, high=1000)
    longer, shorter = (
        judge_z(1.0, short + extra, "c", judge, lengths),
        judge_z(1.0, short, "c", judge, lengths),
    )
    assert longer <= shorter + 1e-9


@given(st.dictionaries(st.sampled_from("abcde"), st.floats(-10, 10), min_size=1), st.floats(0, 2))
def test_disagreement_never_pays(z: dict[str, float], penalty: float) -> None:
    coefficients = dict.fromkeys("abcde", 1.0)
    mean = sum(z.values()) / len(z)
    assert aggregate(z, coefficients, penalty) <= mean + 1e-9
    if len(z) < 3:
        assert aggregate(z, coefficients, penalty) == pytest.approx(mean)


def test_judges_count_by_their_weight() -> None:
    assert aggregate({"a": 1.0, "b": -1.0}, {"a": 3.0, "b": 1.0}, 0.3) == pytest.approx(0.5)
    assert aggregate({"a": 1.0}, {"a": 2.0, "absent": 9.0}, 0.3) == 1.0
    spread = math.sqrt(((1 - 0) ** 2 + 0 + (-1 - 0) ** 2) / 3)
    assert aggregate({"a": 1.0, "b": 0.0, "c": -1.0}, dict.fromkeys("abc", 1.0), 0.3) == pytest.approx(
        -0.3 * spread
    )


@given(s=st.floats(0, 1), ceiling=st.floats(0, 1), gates=st.lists(st.just("loop"), max_size=2))
def test_a_gated_score_never_exceeds_the_ceiling_or_itself(
    s: float, ceiling: float, gates: list[str]
) -> None:
    result = gated_score(s, gates, ceiling)
    assert result <= s
    assert result <= ceiling or not gates
    assert gates or result == s


def test_a_cluster_with_enough_references_has_its_own_table(reference: Reference) -> None:
    assert percentile(0.5, "rich", reference) == pytest.approx(0.5, abs=0.02)
    assert percentile(0.5, "poor", reference) == percentile(0.5, "unknown", reference) == 0.625


def test_a_reference_without_scores_is_damaged(reference: Reference) -> None:
    empty = reference.model_copy(update={"u_all": (), "u_clusters": {}})
    with pytest.raises(AgonError, match="no reference scores"):
        percentile(0.0, "c", empty)
