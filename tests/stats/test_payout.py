"""Pay is absolute, bounded, keyed by hotkey, and rewards no way of cutting one gain into pieces."""

import math

import numpy as np
import pytest
from bittensor.intents.weights import normalize
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from shared.stats.payout import (
    Payout,
    RecordTerm,
    anchor_cap,
    lifetime_pay,
    live_weights,
    longest_half_life,
    probit_gain,
    to_u16,
    wear,
)

gains = st.floats(0.0, 0.3)
records = st.lists(
    st.builds(RecordTerm, st.sampled_from(["a", "b", "c", "d"]), gains, st.integers(0, 400)), max_size=12
)


def earned(schedule, rivals=(), rounds=200, half_life=14.0):
    """Round-emissions that hotkey `me` earns from (round, gain) pairs, beside rivals' (round, gain)."""
    total = 0.0
    for now in range(rounds):
        live = [("me", *step) for step in schedule] + [("rival", *step) for step in rivals]
        terms = [RecordTerm(hotkey, gain, now - start) for hotkey, start, gain in live if start <= now]
        total += live_weights(terms, 0.10, half_life).shares.get("me", 0.0)
    return total


@settings(max_examples=200, derandomize=True)
@given(records)
def test_shares_and_remainder_are_a_whole(terms):
    payout = live_weights(terms, 0.1, 28.0)
    assert all(0.0 < share <= 1.0 for share in payout.shares.values())
    assert 0.0 <= payout.remainder <= 1.0
    assert sum(payout.shares.values()) + payout.remainder == pytest.approx(1.0)


@settings(max_examples=100, derandomize=True)
@given(st.floats(1e-4, 0.1))
def test_a_lone_fresh_record_earns_its_own_size(gain):
    payout = live_weights([RecordTerm("a", gain, 0)], 0.1, 28.0)
    assert payout.shares == {"a": pytest.approx(gain / 0.1)}


def test_a_tiny_lone_record_earns_little_for_ever():
    """Normalised pay would give all 200 round-emissions to a record of .006; absolute pay gives 1.2."""
    assert earned([(0, 0.006)]) == pytest.approx(1.24, abs=0.01)


steps = st.lists(st.tuples(st.integers(0, 80), st.floats(1e-3, 0.4)), max_size=4)


def flow(arrivals, rounds, full_gain=0.1, half_life=7.0):
    """Cumulated pay of every (round, gain) arrival after each round, shape (rounds, arrivals)."""
    starts = np.array([start for start, _ in arrivals])
    left, paid, path = np.array([gain for _, gain in arrivals]), np.zeros(len(arrivals)), []
    for now in range(rounds):
        live = np.where(starts <= now, left, 0.0)
        paid = paid + live / max(full_gain, live.sum())
        left = np.where(starts <= now, wear(live, full_gain, half_life), left)
        path.append(paid)
    return np.array(path)


@settings(max_examples=40, derandomize=True)
@given(steps.filter(len))
def test_a_record_is_paid_for_its_gain_and_no_more_whoever_else_is_paid(arrivals):
    """Pay to date is exactly what has worn off, so a late, crowded or lonely record earns the same."""
    paid = flow(arrivals, 1500)[-1]
    owed = np.array([lifetime_pay(gain, 0.1, 7.0) for _, gain in arrivals])
    assert (paid <= owed * (1 + 1e-9)).all()
    assert paid == pytest.approx(owed, rel=1e-3)


@settings(max_examples=100, derandomize=True)
@given(st.floats(1e-4, 0.3), st.floats(0.01, 1.0), st.floats(0.1, 10.0))
def test_the_longest_half_life_earns_the_pay_it_was_asked_for(gain, full_gain, pay):
    rounds = longest_half_life(gain, full_gain, pay)
    if gain >= pay * full_gain:
        assert rounds == 0.0
    else:
        assert lifetime_pay(gain, full_gain, rounds) == pytest.approx(pay)


def test_no_gain_may_have_any_half_life_and_no_half_life_is_too_long_to_compute():
    assert longest_half_life(0.0, 0.1, 2.0) == math.inf
    assert lifetime_pay(0.0, 0.1, 1e300) == 0.0
    assert lifetime_pay(0.01, 1e-300, 1e300) == math.inf


@settings(max_examples=100, derandomize=True)
@given(steps.filter(len), steps, st.integers(1, 60))
def test_waiting_never_pays_at_any_time(mine, rivals, delay):
    """Without any discount, beside any rivals: the pay to date of who waits is never ahead."""
    count = len(mine)
    early = flow([*mine, *rivals], 200)[:, :count].sum(axis=1)
    late = flow([*((start + delay, gain) for start, gain in mine), *rivals], 200)[:, :count].sum(axis=1)
    assert (late <= early + 1e-9).all()


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 80), st.floats(1e-3, 0.2)), min_size=1, max_size=5), steps)
def test_drips_never_earn_more_than_their_sum_at_once(parts, rivals):
    """However large the sum is, and though full pay caps what a round pays for it."""
    whole = [(min(start for start, _ in parts), math.fsum(gain for _, gain in parts))]
    at_once = flow([*whole, *rivals], 200)[:, 0]
    drips = flow([*parts, *rivals], 200)[:, : len(parts)].sum(axis=1)
    assert (drips <= at_once + 1e-9).all()


@settings(max_examples=60, derandomize=True)
@given(steps.filter(len), st.integers(80, 160))
def test_weights_follow_from_the_ages_alone(arrivals, now):
    """A validator that starts today sets the weights of one that paid every round."""
    terms = [RecordTerm(f"h{i}", gain, now - start) for i, (start, gain) in enumerate(arrivals)]
    shares = live_weights(terms, 0.1, 7.0).shares
    path = flow(arrivals, now + 1)
    assert [shares[term.hotkey] for term in terms] == pytest.approx(path[-1] - path[-2])


def test_large_gains_pay_longer_instead_of_nothing_for_the_excess():
    """.30 at once: 84 round-emissions in 10 half-lives if ages alone wore it, and 108 in four drips."""
    assert earned([(0, 0.30)], rounds=280, half_life=28.0) == pytest.approx(122.3, abs=0.1)
    assert earned([(i * 28, 0.075) for i in range(4)], rounds=280, half_life=28.0) < 122.3


def test_no_progress_earns_nothing():
    assert live_weights([], 0.1, 28.0) == Payout({}, 1.0)
    assert live_weights([RecordTerm("a", 0.0, 0)], 0.1, 28.0) == Payout({}, 1.0)


def test_records_of_one_hotkey_add_up():
    terms = [RecordTerm("a", 0.02, 0), RecordTerm("b", 0.01, 0), RecordTerm("a", 0.04, 28)]
    assert live_weights(terms, 0.1, 28.0) == Payout(
        {"a": pytest.approx(0.4), "b": pytest.approx(0.1)}, pytest.approx(0.5)
    )


def test_pay_halves_each_half_life():
    shares = [live_weights([RecordTerm("a", 0.08, age)], 0.1, 28.0).shares["a"] for age in (0, 28, 56)]
    assert shares == pytest.approx([0.8, 0.4, 0.2])


def test_a_snipers_small_step_earns_its_own_size():
    """A step of .006 on a published .14 takes its part of the rise, not half of the emission."""
    payout = live_weights([RecordTerm("author", 0.14, 0), RecordTerm("sniper", 0.006, 0)], 0.1, 28.0)
    assert payout.shares == {"author": pytest.approx(0.14 / 0.146), "sniper": pytest.approx(0.006 / 0.146)}


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.floats(1e-3, 0.05), min_size=1, max_size=6), records)
def test_sybils_that_split_a_gain_earn_no_more_than_one(parts, others):
    whole = live_weights([*others, RecordTerm("me", math.fsum(parts), 0)], 0.1, 28.0)
    split = live_weights(
        [*others, *(RecordTerm(f"me{i}", part, 0) for i, part in enumerate(parts))], 0.1, 28.0
    )
    assert (
        sum(share for name, share in split.shares.items() if name.startswith("me"))
        <= whole.shares["me"] + 1e-12
    )
    assert split.remainder == pytest.approx(whole.remainder)


def test_drips_and_hoards_earn_no_more_than_one_step_at_once():
    """A true .12 in steps: each step pays the bound's penalty again. Alone and against one rival stream."""
    penalty = 1.2816 * 0.26 / math.sqrt(2000)
    rivals = [(start, 0.04) for start in range(0, 200, 10)]
    drip = [(start, 0.03 - penalty) for start in (0, 10, 20, 30)]
    for others in ((), rivals):
        at_once = earned([(0, 0.12 - penalty)], others)
        assert earned(drip, others) < at_once
        assert earned([(30, 0.12 - penalty)], others) < at_once


def test_a_hotkey_that_left_is_not_paid_and_nobody_gains_by_it():
    payout = live_weights([RecordTerm("gone", 0.05, 0), RecordTerm("here", 0.03, 0)], 0.1, 28.0)
    assert payout.paid_to({"here"}) == Payout({"here": pytest.approx(0.3)}, pytest.approx(0.7))


@settings(max_examples=200, derandomize=True)
@given(st.lists(gains, max_size=8), st.floats(-0.1, 1.0))
def test_anchor_cap_bounds_the_sum_and_keeps_the_proportions(values, cap):
    capped = anchor_cap(values, cap)
    assert math.fsum(capped) <= max(0.0, min(cap, math.fsum(values))) + 1e-12
    assert all(0.0 <= after <= before for after, before in zip(capped, values, strict=True))
    if math.fsum(values) <= cap:
        assert capped == tuple(values)


def test_probit_gain_is_the_bound_near_the_middle():
    assert probit_gain(0.05, 0.475) == pytest.approx(0.05, abs=1e-4)
    assert probit_gain(-0.01, 0.5) == 0.0
    assert probit_gain(0.2, 0.95) == 0.0


def test_probit_gain_telescopes():
    steps = [(0.5, 0.55), (0.55, 0.62), (0.62, 0.8)]
    assert math.fsum(probit_gain(b - a, a) for a, b in steps) == pytest.approx(probit_gain(0.3, 0.5))


@pytest.mark.parametrize("champion_mean", [0.5, 0.7, 0.75, 0.9])
def test_the_same_latent_step_pays_alike_wherever_the_champion_stands(champion_mean):
    """A shift of 0.3 sd in quality moves a mean percentile Phi(q / sqrt 2); it pays .0846 at any time."""
    after = float(ndtr(ndtri(champion_mean) + 0.3 / math.sqrt(2)))
    assert probit_gain(after - champion_mean, champion_mean) == pytest.approx(0.0846, abs=5e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_number_never_enters_pay(bad):
    with pytest.raises(ValueError):
        RecordTerm("a", bad, 0)
    with pytest.raises(ValueError):
        probit_gain(bad, 0.5)
    with pytest.raises(ValueError):
        probit_gain(0.1, bad)
    with pytest.raises(ValueError):
        anchor_cap([0.1, bad], 1.0)
    with pytest.raises(ValueError):
        to_u16({0: bad})
    with pytest.raises(ValueError):
        live_weights([], bad, 28.0)
    with pytest.raises(ValueError):
        live_weights([], 0.1, bad)
    with pytest.raises(ValueError):
        lifetime_pay(0.1, 0.1, bad)


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError):
        RecordTerm("a", -0.1, 0)
    with pytest.raises(ValueError):
        RecordTerm("a", 0.1, -1)
    with pytest.raises(ValueError):
        anchor_cap([-0.1], 1.0)
    with pytest.raises(ValueError):
        anchor_cap([0.1], math.nan)
    with pytest.raises(ValueError):
        to_u16({0: -0.5})


@settings(max_examples=200, derandomize=True)
@given(st.dictionaries(st.integers(0, 255), st.one_of(st.just(0.0), st.floats(1e-12, 1.0)), max_size=12))
def test_u16_weights_are_those_of_the_sdk(shares):
    ordered = sorted(shares.items())
    uids, values = normalize([uid for uid, _ in ordered], [share for _, share in ordered])
    assert to_u16(shares) == dict(zip(uids, values, strict=True))
