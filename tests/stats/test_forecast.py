"""Forecasts play by the real rule, and their chances are those of real duels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.protocol.verdict import Verdict
from shared.stats.duel import decide
from shared.stats.forecast import forecast, play, resample

SHAPES = st.tuples(
    st.floats(-0.1, 0.2),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([3, 4, 10]),
    st.sampled_from([0.0, 6.0]),
)


def world(make_batches, make_row, draw, shape):
    """Measured batches of a policy of the given mean d, share of identical rows, KL and length habit."""
    mean, seed, same, _, longer = shape
    rng = np.random.default_rng(seed)
    d = draw(rng, mean, 80)
    batches = []
    for start in range(0, 80, 4):
        alike = bool(rng.random() < same)
        values = np.zeros(4) if alike else d[start : start + 4]
        extra = float(rng.normal(longer, 2.0)) if longer else 0.0
        batches += make_batches(values, identical=alike, kl=float(rng.uniform(5, 12)), extra_tokens=extra)
    return batches


@settings(max_examples=30)
@given(shape=SHAPES)
def test_a_played_duel_ends_as_the_real_one(make_terms, make_batches, make_row, draw, shape):
    terms = make_terms(min=32, max=64, gain=48, carried_rounds=2, identity=shape[3], kl_budget=8.5)
    measured = world(make_batches, make_row, draw, shape)
    picks = resample(terms, len(measured), np.random.default_rng(shape[1]), 6)
    real = [decide(terms, [[measured[i] for i in one] for one in run]) for run in picks]
    assert all(isinstance(verdict, Verdict) for verdict in real)
    played = play(terms, measured, picks)
    assert [(end.reason, end.prompts) for end in played] == [(v.reason, v.prompts) for v in real]
    tests = [
        end.prompts - (terms.gain if v.gain_bound is not None else 0)
        for end, v in zip(played, real, strict=True)
    ]
    assert [end.round for end in played] == [(prompts - 1) // terms.max for prompts in tests]


def test_the_chance_is_the_share_of_real_duels_won(make_terms, make_batches, draw, wilson):
    """With the truth measured on many rows, the chance is that of fresh duels from the same truth."""
    terms, rng = make_terms(carried_rounds=1), np.random.default_rng(5)
    measured = make_batches(draw(rng, 0.05, 16000))
    found = forecast(terms, measured, rng, runs=1000)
    won = 0
    for _ in range(250):
        fresh = [make_batches(draw(rng, 0.05, terms.max + terms.gain)) for _ in range(2)]
        won += decide(terms, fresh).outcome == "won"
    low, high = wilson(won, 250)
    assert low - 0.03 <= found.win <= high + 0.03
    assert 0.2 < found.win < 0.95  # else the test says nothing


def test_a_copy_has_no_chance(make_terms, make_batches):
    terms = make_terms()
    found = forecast(terms, make_batches(np.zeros(64), identical=True), np.random.default_rng(1), runs=50)
    assert (found.win, found.win_first, found.prompts_to_win) == (0.0, 0.0, None)
    assert found.reasons == {"indistinguishable": 1.0}
    assert (found.mean, found.lower, found.upper) == (0.0, 0.0, 0.0)


def test_few_measured_rows_leave_the_chance_open(make_terms, make_batches, draw):
    """The same mean on fewer rows is less certain to win, and less certain to lose."""
    terms, rng = make_terms(), np.random.default_rng(3)
    strong = draw(rng, 0.15, 2048)
    strong += 0.15 - strong.mean()
    few = strong[:32] - strong[:32].mean() + 0.15
    sure = forecast(terms, make_batches(np.clip(strong, -1, 1)), rng, runs=400)
    open_still = forecast(terms, make_batches(np.clip(few, -1, 1)), rng, runs=400)
    assert sure.win > open_still.win
    assert open_still.upper - open_still.lower > 4 * (sure.upper - sure.lower)


def test_a_better_policy_has_a_better_chance(make_terms, make_batches, draw):
    terms = make_terms()
    noise = draw(np.random.default_rng(8), 0.0, 256) * 0.8
    chances = [
        forecast(terms, make_batches(noise + mean), np.random.default_rng(2), runs=200).win
        for mean in (-0.05, 0.03, 0.08, 0.14, 0.2)
    ]
    assert chances == sorted(chances)
    assert chances[0] == 0.0
    assert chances[-1] > 0.9


def test_shares_add_up_and_carried_rounds_only_help(make_terms, make_batches, draw):
    measured = make_batches(draw(np.random.default_rng(4), 0.07, 512))
    found = forecast(make_terms(), measured, np.random.default_rng(6), runs=300)
    assert sum(found.reasons.values()) == pytest.approx(1.0)
    assert found.win == found.reasons["confirmed"] >= found.win_first
    assert found.win_error == pytest.approx(np.sqrt(found.win * (1 - found.win) / 300))
    assert found.prompts_to_win >= make_terms().min + make_terms().gain


def test_rows_of_another_plan_are_refused(make_terms, make_batches):
    with pytest.raises(ValueError, match="own plan"):
        forecast(make_terms(), [], np.random.default_rng(0))
