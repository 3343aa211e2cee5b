"""Each condition on the fresh rows, and the coverage of the gain bound."""

import numpy as np
import pytest
from scipy.stats import linregress

from shared.protocol.verdict import Verdict
from shared.stats.confirmation import confirm, mean_at_equal_length
from shared.stats.duel import decide
from shared.stats.rows import rows_of

PLAN = (("chat", 2), ("words", 1), ("sums", 1))
CONDITIONS = {"margin": 0.01, "slice_tolerance": 0.15, "kl_budget": 10.0}


def check(batches):
    return confirm(list(rows_of(batches)), PLAN, **CONDITIONS)


def test_steady_improvement_stands(make_batches):
    found = check(make_batches([0.2, 0.1] * 64, s_champion=0.4))
    assert (found.failed, found.bound, found.champion_mean) == (None, pytest.approx(0.15), pytest.approx(0.4))


def test_an_improvement_within_the_margin_does_not_stand(make_batches):
    found = check(make_batches([0.008] * 128))
    assert (found.failed, found.bound) == ("gain_below_margin", pytest.approx(0.008))


def test_one_bad_slice_fails_whatever_the_mean(make_batches):
    found = check(make_batches([0.5, 0.5, 0.5, -0.3] * 32))
    assert (found.failed, found.slices[2].mean) == ("slice_worse", pytest.approx(-0.3))


def test_a_slice_must_be_proven_not_worse(make_batches):
    """Mean 0 on a slice is not enough when its error leaves a loss beyond the tolerance open."""
    noisy = np.tile([[0.5, 0.5, 0.5, 0.9], [0.5, 0.5, 0.5, -0.9]], (16, 1)).ravel()
    assert check(make_batches(noisy)).failed == "slice_worse"


def test_the_freshest_judge_alone_must_agree(make_batches):
    assert check(make_batches([0.2] * 128, d_fresh=-0.001)).failed == "fresh_judge"
    assert check(make_batches([0.2] * 128, d_fresh=None)).failed is None


def test_rows_the_freshest_judge_does_not_score_are_left_out(make_row, make_batches):
    rows = [
        make_row(0.2, row.slice, d_fresh=None if row.slice == "sums" else 0.1)
        for row in rows_of(make_batches([0.0] * 128))
    ]
    assert confirm(rows, PLAN, **CONDITIONS).failed is None


def test_longer_completions_alone_do_not_win(make_row, make_batches):
    """d is 1% of every extra token: at equal length nothing is left."""
    extra = np.random.default_rng(0).integers(5, 40, 128)
    rows = [
        make_row(float(tokens) / 100, row.slice, extra_tokens=float(tokens))
        for row, tokens in zip(rows_of(make_batches([0.0] * 128)), extra, strict=True)
    ]
    assert confirm(rows, PLAN, **CONDITIONS).failed == "length"


def test_briefer_answers_are_no_ground_for_suspicion(make_row, make_batches):
    """The whole gain comes with answers that end in time: all of it would vanish at equal length."""
    extra = np.random.default_rng(0).integers(-12, 2, 128)
    rows = [
        make_row(float(-tokens) / 40, row.slice, extra_tokens=float(tokens))
        for row, tokens in zip(rows_of(make_batches([0.0] * 128)), extra, strict=True)
    ]
    assert confirm(rows, PLAN, **CONDITIONS).failed is None


def test_kl_beyond_the_budget_fails(make_batches):
    assert check(make_batches([0.2] * 128, kl=10.01)).failed == "kl_budget"
    assert check(make_batches([0.2] * 128, kl=10.0)).failed is None


def test_one_block_is_not_enough(make_batches):
    with pytest.raises(ValueError, match="two batches"):
        check(make_batches([0.2] * 4))


def test_mean_at_equal_length_is_the_intercept_with_its_error(draw):
    extra = np.array([0.0, 1.0, 2.0, 5.0])
    assert mean_at_equal_length(0.3 + 0.02 * extra, extra) == pytest.approx((0.3, 0.0))
    assert mean_at_equal_length(np.array([0.1, 0.3, 0.2]), np.full(3, 7.0))[0] == pytest.approx(0.2)
    rng = np.random.default_rng(1)
    d, tokens = draw(rng, 0.05, 200), rng.normal(10, 5, 200)
    fit = linregress(tokens, d)
    assert mean_at_equal_length(d, tokens) == pytest.approx((fit.intercept, fit.intercept_stderr))


def test_a_policy_that_only_writes_more_seldom_stands(draw, make_row, make_batches):
    """True d is 0 at equal length; a positive intercept alone would let half of these through."""
    rng, stood = np.random.default_rng(2), 0
    blank = list(rows_of(make_batches([0.0] * 256)))
    for _ in range(200):
        extra = rng.normal(20.0, 10.0, 256)
        d = np.clip(draw(rng, 0.0, 256) + 0.0075 * extra, -1.0, 1.0)
        rows = [
            make_row(float(x), row.slice, extra_tokens=float(tokens))
            for x, row, tokens in zip(d, blank, extra, strict=True)
        ]
        stood += confirm(rows, PLAN, **CONDITIONS).failed is None
    assert stood / 200 < 0.2


def test_a_crowned_gain_exceeds_the_truth_in_about_a_tenth_of_duels(make_terms, draw, make_batches, wilson):
    """True mean .08: however the duel stopped, the bound of the crowned is above it with rate 8-12%."""
    terms, rng, crowned, above = make_terms(slice_tolerance=0.9, margin=0.0), np.random.default_rng(8), 0, 0
    for _ in range(700):
        verdict = decide(terms, [make_batches(draw(rng, 0.08, 384))])
        if isinstance(verdict, Verdict) and verdict.outcome == "won":
            crowned, above = crowned + 1, above + (verdict.gain_bound > 0.08)
    low, high = wilson(above, crowned)
    assert crowned > 300
    assert low <= 0.12
    assert high >= 0.08
    assert above / crowned == pytest.approx(0.1, abs=0.045)
