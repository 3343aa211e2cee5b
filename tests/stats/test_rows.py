"""Rows refuse bad numbers; batches refuse anything but whole batches in order."""

import math

import numpy as np
import pytest

from shared.stats.rows import Batch, batch_means, batch_size, mean_and_error, rows_of, slice_means


@pytest.mark.parametrize("field", ["d", "d_fresh", "extra_tokens", "kl", "s_champion"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_number_never_enters_a_row(make_row, field, value):
    with pytest.raises(ValueError, match="finite"):
        make_row(**({"d": 0.0} | {field: value}))


@pytest.mark.parametrize("change", [{"d": 1.01}, {"d": -1.01}, {"d": 0.0, "s_champion": 1.2}])
def test_number_out_of_range_never_enters_a_row(make_row, change):
    with pytest.raises(ValueError, match="must lie"):
        make_row(**change)


def test_row_takes_a_missing_fresh_judge(make_row):
    assert make_row(0.5, d_fresh=None).d_fresh is None


def test_part_of_a_block_cannot_be_written(make_row):
    plan = (("chat", 2), ("sums", 1))
    whole = [make_row(0.1), make_row(0.2), make_row(0.3, "sums")]
    assert Batch.of(plan, whole).rows == tuple(whole)
    for rows in (whole[:2], whole[1:], [*whole, make_row(0.0)], []):
        with pytest.raises(ValueError, match="no more and no less"):
            Batch.of(plan, rows)


def test_run_of_one_slice_cannot_be_written(make_row):
    plan = (("chat", 2), ("sums", 2))
    for rows in ([make_row(0.3)] * 4, [make_row(0.3), make_row(0.3, "sums")] * 2):
        with pytest.raises(ValueError, match="in this order"):
            Batch.of(plan, rows)


def test_split_gives_back_every_row_in_order(make_row):
    plan = (("chat", 1), ("sums", 1))
    rows = [make_row(i / 10, ("chat", "sums")[i % 2]) for i in range(6)]
    assert list(rows_of(Batch.split(plan, rows))) == rows
    with pytest.raises(ValueError, match="no more and no less"):
        Batch.split(plan, rows[:5])


@pytest.mark.parametrize("plan", [(), (("a", 0),), (("a", 1), ("a", 2))])
def test_plan_without_prompts_or_with_a_slice_twice_is_refused(plan):
    with pytest.raises(ValueError, match="each slice once"):
        batch_size(plan)


def test_block_and_slice_means():
    plan = (("a", 2), ("b", 1))
    d = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert batch_means(d, plan) == pytest.approx([0.2, 0.8])
    assert {name: list(means) for name, means in slice_means(d, plan).items()} == {
        "a": pytest.approx([0.1, 0.7]),
        "b": pytest.approx([0.4, 1.0]),
    }
    assert mean_and_error(np.array([0.1, 0.3])) == pytest.approx((0.2, 0.1))
    assert mean_and_error(np.array([0.1])) == (0.1, math.inf)
