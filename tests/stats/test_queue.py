"""Slots: oldest commit first, ties nobody can choose, cooling hotkeys skipped, the same for everybody."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.stats.queue import Candidate, finished_cooldown, free_after, slots, withheld_cooldown

SEED = bytes(32)

candidates = st.lists(
    st.builds(Candidate, st.text("abcdef", min_size=1, max_size=6), st.integers(0, 5), st.integers(0, 4)),
    unique_by=lambda candidate: candidate.hotkey,
    max_size=20,
)


def test_oldest_waiting_commit_goes_first_and_cooling_hotkeys_are_skipped():
    old, new, cooling = Candidate("old", 5, 0), Candidate("new", 9, 3), Candidate("cooling", 1, 4)
    assert slots([new, cooling, old], 3, SEED, 16) == (old, new)
    assert slots([new, cooling, old], 4, SEED, 2) == (cooling, old)


def test_ties_follow_the_hash_of_seed_and_hotkey():
    tied = [Candidate(name, 7, 0) for name in "abcdefgh"]
    for seed in (SEED, b"\x01" * 32):
        expected = sorted(tied, key=lambda one: hashlib.sha256(seed + one.hotkey.encode()).digest())
        assert slots(tied, 0, seed, 8) == tuple(expected)


@settings(max_examples=100, derandomize=True)
@given(candidates, st.integers(0, 5), st.integers(0, 6), st.randoms(use_true_random=False))
def test_slots_do_not_depend_on_the_order_of_reading(waiting, now, limit, random):
    chosen = slots(waiting, now, SEED, limit)
    shuffled = list(waiting)
    random.shuffle(shuffled)
    assert slots(shuffled, now, SEED, limit) == chosen
    assert len(chosen) == min(limit, sum(one.free_at <= now for one in waiting))
    assert [one.commit_block for one in chosen] == sorted(one.commit_block for one in chosen)


@settings(max_examples=50, derandomize=True)
@given(candidates, st.integers(0, 6))
def test_no_younger_commit_ever_overtakes(waiting, limit):
    chosen = slots(waiting, 10, SEED, limit)
    left = [one for one in waiting if one not in chosen]
    if chosen and left:
        assert max(one.commit_block for one in chosen) <= min(one.commit_block for one in left)


def test_a_hotkey_has_one_place():
    with pytest.raises(ValueError, match="one waiting"):
        slots([Candidate("a", 1, 0), Candidate("a", 2, 0)], 0, SEED, 4)


def test_cooldowns_double_up_to_their_limit():
    assert [finished_cooldown(times) for times in (1, 2, 3, 4, 5, 400)] == [1, 2, 4, 8, 8, 8]
    assert [withheld_cooldown(times) for times in (1, 2, 3, 4, 5, 400)] == [2, 4, 8, 16, 16, 16]
    assert free_after(10, 1) == 12
    for schedule in (finished_cooldown, withheld_cooldown):
        with pytest.raises(ValueError, match="from 1"):
            schedule(0)


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="limit"):
        slots([], 0, SEED, -1)
