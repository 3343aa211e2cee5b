"""Agreement of a judge with pairs: intervals hold, clusters count, and length is no knowledge."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shared.errors import AgonError
from shared.judging.preferences.agreement import (
    best_temperature,
    calibrate,
    compare_rewards,
    mean_estimate,
    proportion,
)


def keys(count: int) -> list[str]:
    return [f"p{index}" for index in range(count)]


def test_accuracy_counts_hits_and_half_of_ties() -> None:
    found = compare_rewards([1, 2, 3, 0], [0, 3, 3, -1], [(4, 8)] * 4, keys(4))
    assert (found.pairs, found.prompts, found.ties) == (4, 4, 1)
    assert found.accuracy.value == 0.625
    assert 0 < found.accuracy.low < 0.625 < found.accuracy.high < 1


def test_a_judge_of_length_is_not_useful() -> None:
    rng = np.random.default_rng(1)
    lengths = [(int(a), int(b)) for a, b in rng.integers(5, 200, (400, 2))]
    found = compare_rewards([-a for a, _ in lengths], [-b for _, b in lengths], lengths, keys(400))
    assert found.length_accuracy == found.accuracy or found.length_rule == "longer"
    assert not found.useful
    assert found.length.slope is not None and found.length.slope.high < 0
    assert found.length.shorter_is_better is not None and found.length.shorter_is_better.value == 1
    assert found.length.longer_is_better is not None and found.length.longer_is_better.value == 0


def test_a_judge_of_quality_is_useful_and_free_of_length() -> None:
    rng = np.random.default_rng(2)
    lengths = [(int(a), int(b)) for a, b in rng.integers(5, 200, (600, 2))]
    chosen, rejected = rng.normal(1, 1, 600), rng.normal(0, 1, 600)
    found = compare_rewards(list(chosen), list(rejected), lengths, keys(600))
    assert found.useful
    assert found.accuracy.low < 0.76 < found.accuracy.high  # P(N(1, sqrt 2) > 0)
    assert found.length.slope is not None and found.length.slope.low < 0 < found.length.slope.high


def test_repeating_a_prompt_does_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(3)
    hits = rng.integers(0, 2, 200).astype(float)
    once = proportion(hits, np.arange(200))
    tenfold = proportion(np.repeat(hits, 10), np.repeat(np.arange(200), 10))
    assert tenfold.high - tenfold.low == pytest.approx(once.high - once.low, rel=0.02)


def test_unanimous_clusters_leave_room_for_doubt() -> None:
    found = proportion(np.ones(100), np.repeat(np.arange(5), 20))
    assert (found.value, found.high) == (1.0, pytest.approx(1.0))
    assert found.low < 0.6


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(4)
    covered = [0, 0]
    for _ in range(400):
        effect = rng.normal(0, 0.5, 60)
        hits = (rng.random((60, 4)) < 1 / (1 + np.exp(-(0.5 + effect[:, None])))).astype(float).ravel()
        clusters = np.repeat(np.arange(60), 4)
        truth = 0.6141  # mean of sigmoid(0.5 + N(0, 0.5))
        for index, found in enumerate((proportion(hits, clusters), mean_estimate(hits, clusters))):
            covered[index] += found.low <= truth <= found.high
    assert min(covered) >= 0.92 * 400


@pytest.mark.parametrize("heat", [0.25, 1.0, 4.0])
def test_the_temperature_undoes_a_wrong_scale(heat: float) -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 2, 20_000)
    margins = np.where(rng.random(20_000) < 1 / (1 + np.exp(-logits)), logits, -logits) * heat
    found = calibrate(margins, np.arange(20_000))
    assert found.temperature == pytest.approx(heat, rel=0.1)
    assert found.log_loss_at_temperature <= found.log_loss.value
    assert (found.ece < 0.02) == (heat == 1.0)
    assert sum(part.pairs for part in found.bins) == 20_000


def test_a_judge_against_people_needs_all_the_heat() -> None:
    assert best_temperature(np.array([-1.0, -2.0, 0.5])) == pytest.approx(100, rel=1e-3)
    assert calibrate(np.zeros(4), np.arange(4)).log_loss.value == pytest.approx(math.log(2))


def test_numbers_without_an_interval_are_refused() -> None:
    for rewards, names, code in (
        ([1.0, float("nan")], ["a", "b"], "judge_non_finite"),
        ([1.0, 2.0], ["a", "a"], "data_invalid"),
    ):
        with pytest.raises(AgonError) as caught:
            compare_rewards(rewards, [0.0, 0.0], [(1, 2), (2, 1)], names)
        assert caught.value.code == code
