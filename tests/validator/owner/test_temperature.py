"""Whether a lower temperature is better: proven or not said, in any order of prompts, seldom by luck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.types import SliceName
from validator.owner.temperature import Reading, best_of, compare, finding_of

CHAT, WORDS = SliceName("chat"), SliceName("words")
PLAN = ((CHAT, 3), (WORDS, 1))

score = st.floats(0, 1, allow_nan=False)
columns = st.integers(2, 12).flatmap(
    lambda count: st.lists(st.tuples(score, score, score), min_size=count, max_size=count)
)


@given(columns, columns, st.randoms(use_true_random=False))
def test_a_reading_is_a_paired_mean_inside_its_interval(chat: list, words: list, rng: object) -> None:
    def at(place: int) -> dict[SliceName, list[float]]:
        return {CHAT: [row[place] for row in chat], WORDS: [row[place] for row in words]}

    readings = compare(PLAN, at(0), {0.4: at(1), 0.6: at(2)})
    assert [reading.temperature for reading in readings] == [0.6, 0.4]
    rise = 0.75 * np.mean([c[2] - c[0] for c in chat]) + 0.25 * np.mean([w[2] - w[0] for w in words])
    assert readings[0].difference == pytest.approx(rise, abs=1e-12)
    for reading in readings:
        assert -1 <= reading.lower <= reading.difference + 1e-12
        assert reading.difference <= reading.upper + 1e-12 <= 1 + 1e-12
    # the order of the prompts says nothing, and the other way round the sign is the other one
    rng.shuffle(chat)  # type: ignore[attr-defined]
    again = compare(PLAN, at(0), {0.4: at(1), 0.6: at(2)})
    swapped = compare(PLAN, at(2), {0.4: at(1), 0.6: at(0)})
    assert again[0].lower == pytest.approx(readings[0].lower, abs=1e-9)
    assert swapped[0].lower == pytest.approx(-readings[0].upper, abs=1e-9)


@given(columns)
def test_the_same_scores_are_never_called_better(rows: list) -> None:
    same = {CHAT: [row[0] for row in rows], WORDS: [row[1] for row in rows]}
    assert best_of(compare(PLAN, same, {0.2: same, 0.4: same})) is None


@given(st.lists(st.tuples(st.floats(0.1, 0.9), st.floats(-1, 1), st.floats(0, 1)), max_size=5))
def test_the_one_proven_by_most_is_named(numbers: list) -> None:
    readings = [
        Reading(temperature=t, mean=0.5, difference=lower + width, lower=lower, upper=lower + 2 * width)
        for t, lower, width in numbers
    ]
    best = best_of(readings)
    proven = [reading for reading in readings if reading.lower > 0]
    assert (best is None) == (not proven)
    if best is not None:
        assert best in proven and best.lower == max(reading.lower for reading in proven)
        finding = finding_of(0.8, best)
        assert (finding.code, f"{best.temperature:g}" in finding.message) == ("temperature_too_high", True)


def test_luck_alone_is_called_better_in_one_build_of_forty_at_most() -> None:
    """Two-sided 5% over three temperatures: a false warning in 2.5% of the builds, 60 of 2400 (+- 3 sd)."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(2400):
        tables = [{CHAT: rng.random(24), WORDS: rng.integers(0, 2, 24).astype(float)} for _ in range(4)]
        alarms += (
            best_of(compare(PLAN, tables[0], dict(zip((0.6, 0.4, 0.2), tables[1:], strict=True)))) is not None
        )
    assert alarms <= 60 + 3 * math.sqrt(60)


def test_a_real_rise_is_found() -> None:
    rng = np.random.default_rng(6)
    rule = {CHAT: rng.random(64) * 0.8, WORDS: rng.random(64) * 0.8}
    better = {name: values + 0.2 * rng.random(64) for name, values in rule.items()}
    best = best_of(compare(PLAN, rule, {0.6: rule, 0.4: better}))
    assert best is not None
    assert best.temperature == 0.4
    assert 0 < best.lower < 0.1 < best.upper


def test_one_prompt_of_a_slice_proves_nothing() -> None:
    rule, better = {CHAT: [0.1] * 9, WORDS: [0.0]}, {CHAT: [0.9] * 9, WORDS: [1.0]}
    (reading,) = compare(PLAN, rule, {0.4: better})
    assert (reading.lower, reading.upper, best_of([reading])) == (-1.0, 1.0, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_that_is_none_never_enters(bad: float) -> None:
    fine, spoilt = {CHAT: [0.5, 0.5], WORDS: [0.5, 0.5]}, {CHAT: [0.5, bad], WORDS: [0.5, 0.5]}
    for rule, lower in ((fine, spoilt), (spoilt, fine)):
        with pytest.raises(ValueError, match="scores lie in"):
            compare(PLAN, rule, {0.4: lower})


def test_scores_of_other_prompts_are_refused() -> None:
    fine = {CHAT: [0.5, 0.5], WORDS: [0.5, 0.5]}
    with pytest.raises(ValueError, match="other prompts"):
        compare(PLAN, fine, {0.4: {CHAT: [0.5] * 3, WORDS: [0.5, 0.5]}})
    with pytest.raises(ValueError, match="every slice needs scores"):
        compare(PLAN, fine, {0.4: {CHAT: [0.5, 0.5]}})
