"""The e-process against exact arithmetic and an independent library, and its error rates under attack."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.stats.eprocess import BETS, alpha_share, confidence_sequence, log_wealth, log_wealth_path

difference = st.integers(-20, 20).map(lambda x: x / 20)


def exact_wealth(d, mean, null):
    """Slow and exact: the mean over bets of the product, in rationals."""
    mean = Fraction(mean)
    scale = 1 + mean if null == "at_most" else mean - 1
    bets = [Fraction(float(bet)) for bet in BETS]
    total = sum(
        math.prod((1 + bet * (Fraction(x) - mean) / scale for x in d), start=Fraction(1)) for bet in bets
    )
    return total / len(bets)


@settings(max_examples=40, derandomize=True)
@given(st.lists(difference, min_size=1, max_size=12), st.sampled_from([0.0, 0.005, 0.3, -0.5]))
def test_wealth_equals_exact_rational_arithmetic(d, mean):
    for null in ("at_most", "at_least"):
        expected = [math.log(exact_wealth(d[:end], mean, null)) for end in range(1, len(d) + 1)]
        path = log_wealth_path(np.array(d), mean, range(1, len(d) + 1), null=null)
        assert path == pytest.approx(expected, abs=1e-12)


def library_path(d, mean, side):
    """The mixture's log wealth after every row, from the library's own tests of one bet each."""
    ville = pytest.importorskip("ville")
    # An alpha this small lifts the library's adaptive bet above its cap, so the bet is the constant c.
    tests = [
        ville.BettingTest(m0=mean, bounds=(-1, 1), alternative=side, alpha=1e-300, c=float(bet)).fit(d)
        for bet in BETS
    ]
    return np.logaddexp.reduce([test.log_e_values_ for test in tests]) - math.log(16)


@pytest.mark.parametrize(("null", "side"), [("at_most", "greater"), ("at_least", "less")])
@pytest.mark.parametrize(("mean", "truth"), [(0.005, 0.04), (0.0, -0.1), (0.05, 0.0), (-0.6, 0.3)])
def test_wealth_equals_an_independent_library(draw, null, side, mean, truth):
    d = draw(np.random.default_rng(1), truth, 300)
    expected = library_path(d, mean, side)
    assert log_wealth_path(d, mean, range(1, 301), null=null) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("count", "truth", "alpha"), [(40, 0.0, 0.2), (400, 0.05, 0.05), (2000, -0.3, 1e-4)])
def test_interval_ends_where_an_independent_library_rejects(draw, count, truth, alpha):
    """Just outside either bound the library's wealth stands at 2 / alpha; just inside it does not."""
    d, threshold = draw(np.random.default_rng(2), truth, count), math.log(2 / alpha)
    lower, upper = confidence_sequence(d, alpha)
    assert -1.0 < lower < truth < upper < 1.0
    for bound, side, outwards in ((lower, "greater", -1.0), (upper, "less", 1.0)):
        assert library_path(d, bound + 1e-6 * outwards, side)[-1] >= threshold
        assert library_path(d, bound - 1e-5 * outwards, side)[-1] < threshold


@pytest.mark.parametrize(("count", "truth"), [(256, 0.12), (1024, 0.0), (4032, 0.03)])
def test_interval_is_about_as_narrow_as_an_adaptive_one(draw, count, truth):
    """The library's hedged capital adapts its bets to the variance; constant bets lose little to it."""
    ville = pytest.importorskip("ville")
    d = draw(np.random.default_rng(3), truth, count)
    lower, upper = confidence_sequence(d, 0.05)
    other = ville.BettingCS(bounds=(-1, 1), alpha=0.05, grid=2001, intersect=False).fit(d)
    assert lower < other.upper_[-1]
    assert upper > other.lower_[-1]
    assert 0.8 <= (upper - lower) / (other.upper_[-1] - other.lower_[-1]) <= 1.3


def test_bets_are_the_frozen_grid():
    assert BETS[[0, -1]] == pytest.approx([0.02, 0.9])
    assert np.diff(np.log(BETS)) == pytest.approx(np.full(15, math.log(45) / 15))


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_crown_rate_at_the_margin_is_at_most_alpha_under_peeking(draw, wilson, gap):
    """2000 paths, mean exactly at the margin, slices apart by the gap, a look at every batch end."""
    rng, crowned = np.random.default_rng(2), 0
    for _ in range(2000):
        d = np.clip(draw(rng, 0.0, 1024), -0.69, 0.69) + np.tile([gap, -gap], 512) + 0.01
        crowned += bool(log_wealth_path(d, 0.01, range(2, 1025, 2)).max() >= math.log(1 / 0.05))
    assert wilson(crowned, 2000)[0] <= 0.05


def test_futility_rate_at_the_planning_effect_is_at_most_beta(draw, wilson):
    rng, stopped = np.random.default_rng(3), 0
    for _ in range(1000):
        path = log_wealth_path(draw(rng, 0.05, 1024), 0.05, range(16, 1025, 16), null="at_least")
        stopped += bool(path.max() >= math.log(1 / 0.05))
    assert wilson(stopped, 1000)[0] <= 0.05


def test_a_run_of_one_slice_would_break_the_raw_process(draw):
    """What batches exist for: 64 rows of one slice, then 64 of the other, crown a policy at the margin."""
    rng, run_crowned, batch_crowned = np.random.default_rng(4), 0, 0
    for _ in range(200):
        good = np.clip(draw(rng, 0.0, 256) + 0.31, -1, 1)
        bad = np.clip(draw(rng, 0.0, 256) - 0.29, -1, 1)
        run = np.concatenate(
            [np.concatenate(pair) for pair in zip(np.split(good, 4), np.split(bad, 4), strict=True)]
        )
        batch = np.stack([good, bad], axis=1).ravel()
        run_crowned += bool(log_wealth_path(run, 0.01, range(16, 513, 16)).max() >= math.log(1 / 0.003))
        batch_crowned += bool(log_wealth_path(batch, 0.01, range(16, 513, 16)).max() >= math.log(1 / 0.003))
    assert (run_crowned, batch_crowned) == (200, 0)


@settings(max_examples=60, derandomize=True)
@given(st.lists(difference, min_size=1, max_size=60), st.sampled_from([0.2, 0.01, 1e-6]))
def test_interval_is_where_the_tests_reject(d, alpha):
    values = np.array(d)
    lower, upper = confidence_sequence(values, alpha)
    assert -1.0 <= lower <= values.mean() <= upper <= 1.0
    threshold = math.log(2 / alpha)
    if lower > -1.0:
        assert log_wealth(values, lower - 1e-9) >= threshold > log_wealth(values, lower + 5e-6)
    if upper < 1.0:
        assert log_wealth(values, upper + 1e-9, null="at_least") >= threshold
        assert log_wealth(values, upper - 5e-6, null="at_least") < threshold


@settings(max_examples=30, derandomize=True)
@given(st.lists(difference, min_size=1, max_size=40))
def test_interval_is_mirrored_when_the_sides_change_places(d):
    lower, upper = confidence_sequence(np.array(d), 0.05)
    assert confidence_sequence(-np.array(d), 0.05) == pytest.approx((-upper, -lower), abs=1e-5)


def test_interval_of_no_rows_is_everything():
    assert confidence_sequence(np.array([]), 0.05) == (-1.0, 1.0)
    assert log_wealth(np.array([]), 0.0) == 0.0


@pytest.mark.parametrize("end", [1.0, -1.0])
def test_interval_holds_at_the_ends_of_the_range(end):
    lower, upper = confidence_sequence(np.full(500, end), 0.01)
    assert lower <= end <= upper
    assert upper - lower < 0.05


def test_wealth_before_a_look_does_not_depend_on_later_rows(draw):
    d = draw(np.random.default_rng(5), 0.02, 600)
    whole = log_wealth_path(d, 0.005, range(50, 601, 50))
    for count in (50, 300, 550):
        assert list(log_wealth_path(d[:count], 0.005, range(50, count + 1, 50))) == list(whole[: count // 50])


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1.5, -1.5])
def test_bad_difference_is_refused(bad):
    for call in (lambda d: log_wealth_path(d, 0.0, [2]), lambda d: confidence_sequence(d, 0.05)):
        with pytest.raises(ValueError, match="finite"):
            call(np.array([0.1, bad]))


def test_bad_arguments_are_refused():
    d = np.zeros(4)
    for mean in (1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="null mean"):
            log_wealth_path(d, mean, [4])
    for ends in ([0], [5]):
        with pytest.raises(ValueError, match="ends"):
            log_wealth_path(d, 0.0, ends)
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            confidence_sequence(d, alpha)


@settings(max_examples=30, derandomize=True)
@given(st.integers(1, 300), st.lists(st.integers(1, 64), min_size=300, max_size=300))
def test_shares_of_a_reign_sum_to_at_most_alpha(horizon, slots):
    spent = sum(
        n * alpha_share(0.05, t, n, horizon) for t, n in zip(range(1, horizon + 1), slots, strict=False)
    )
    assert spent <= 0.05 * (1 + 1e-12)


def test_shares_of_any_later_horizon_sum_to_half_alpha_and_a_tail():
    later = sum(alpha_share(0.05, t, 1, 100) for t in range(101, 201))
    assert later == pytest.approx(0.05 * (0.5 + 0.0015), abs=0.05 * 0.0002)


@pytest.mark.parametrize(
    "arguments", [(0.05, 0, 1, 1), (0.05, 1, 0, 1), (0.05, 1, 1, 0), (math.nan, 1, 1, 1)]
)
def test_bad_schedule_is_refused(arguments):
    with pytest.raises(ValueError, match="alpha must"):
        alpha_share(*arguments)


def test_interval_covers_the_truth_at_every_look_at_once(draw, wilson):
    """500 paths of 640 rows with ten looks: the truth leaves an interval of level .9 in at most .1."""
    rng, missed = np.random.default_rng(6), 0
    for _ in range(500):
        d = draw(rng, 0.05, 640)
        intervals = [confidence_sequence(d[:look], 0.1) for look in range(64, 641, 64)]
        missed += any(not lower <= 0.05 <= upper for lower, upper in intervals)
    assert wilson(missed, 500)[0] <= 0.1
