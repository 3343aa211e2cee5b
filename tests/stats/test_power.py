"""Golden numbers: prompts to a crown and the price of a copy, as the incentive page prints them."""

import math

import numpy as np
import pytest

from benchmarks.sim.simulation import PRODUCTION, crossing, stopped_futile
from shared.stats.eprocess import alpha_share


@pytest.mark.parametrize(
    ("effect", "t", "slots", "median"),
    [(0.03, 1, 1, 1152), (0.05, 1, 10, 576), (0.05, 50, 10, 832), (0.08, 50, 10, 384), (0.12, 200, 10, 192)],
)
def test_prompts_to_a_crossing(draw, effect, t, slots, median):
    """Medians of an independent simulation of the same rule, within one look or 12%."""
    rng, alpha = np.random.default_rng([9, t, slots]), alpha_share(0.05, t, slots, 100)
    ends = [crossing(draw(rng, effect, 3072), PRODUCTION, [alpha])[0] or math.inf for _ in range(250)]
    assert float(np.median(ends)) == pytest.approx(median, abs=max(64, 0.12 * median))


def test_a_copy_costs_few_prompts(draw):
    rng = np.random.default_rng(10)
    ends = [stopped_futile(draw(rng, 0.0, 4032), PRODUCTION) or 4032 for _ in range(200)]
    assert float(np.median(ends)) <= 700


def test_no_copy_crosses_the_threshold_of_a_busy_round(draw):
    """10 slots in round 1: alpha 0.0015; 500 copies of 1024 prompts, looked at every 64."""
    rng, alpha = np.random.default_rng(11), alpha_share(0.05, 1, 10, 100)
    assert all(crossing(draw(rng, 0.0, 1024), PRODUCTION, [alpha]) == [None] for _ in range(500))
