"""`exact-answer-3` reads the number that a reader would take for the answer."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.verifiers import VERIFIERS, verify
from shared.judging.verifiers.value_answer import answer_in

NAME = "exact-answer-3"


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("The answer is .5", "0.5", "5"),
        ("So it is −5.", "-5", "5"),
        ("So it is \u20135.", "-5", "5"),
        ("The answer is 1e3.", "1000", "3"),
        ("10^3", "1000", "3"),
        ("10³", "1000", "103"),
        ("2**3", "8", "3"),
        ("1.5 × 10^3", "1500", "3"),
        ("1 000 000", "1000000", "0"),
        ("1\u202f000\u00a0000", "1000000", "0"),
        ("1,000,000 and that is it", "1000000", "0"),
        ("Answer: 1/2", "0.5", "2"),
        ("The answer is 1/2. (See step 2)", "0.5", "2"),
        ("12/4", "3", "4"),
        ("\\(x = \\frac{1}{2}\\)", "0.5", "2"),
        ("2½ cups", "2.5", "2"),
        ("It costs $1,234.50.", "1234.5", "50"),
        ("-$5", "-5", "5"),
        ("$-5", "-5", "5"),
        ("minus 3", "-3", "3"),
        ("x = - 5", "-5", "5"),
        ("50%", "50", "5"),
        ("A: 88.0", "88", "0"),
    ],
)
def test_a_number_is_its_value_however_it_is_written(text: str, right: str, wrong: str) -> None:
    assert verify(NAME, text, {"answer": right}) == 1
    assert verify(NAME, text, {"answer": wrong}) == 0


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("The answer is 7. (See step 2)", "7", "2"),
        ("The answer is 7 [2].", "7", "2"),
        ("It is 7, as shown in step 2", "7", "2"),
        ("**Answer:** 12 apples in 3 bags", "12", "3"),
        ("Answer:\n\n7", "7", "8"),
        ("The answer to question 4 is 9.", "9", "4"),
        ("\\boxed{42}, which is less than 50", "42", "50"),
        ("#### 65,960\n3", "65960", "3"),
        ("6 * 7 = 42 eggs in 3 boxes", "42", "3"),
        ("5 + 3 = 8. So she has 6 left", "6", "8"),
        ("The answer is 5 + 2 = 7", "7", "5"),
        ("The answer is 5. Wait. The answer is 6.", "6", "5"),
        ("1. He has 7.\n2. That is all.", "7", "2"),
        ("Half an hour (30 minutes)", "30", "0.5"),
        ("5 dollars (that is 500 cents)", "5", "500"),
        ("7. That is it", "7", "8"),
        ("In 2019, 5 people came", "5", "2019"),
    ],
)
def test_a_marked_answer_counts_before_a_later_number(text: str, right: str, wrong: str) -> None:
    assert verify(NAME, text, {"answer": right}) == 1
    assert verify(NAME, text, {"answer": wrong}) == 0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The pairs are (2,3)", "23"),
        ("She is in room B-12", "12"),
        ("She is in room B-12", "-12"),
        ("x2", "2"),
        ("in 3D", "3"),
        ("at 12:30", "30"),
        ("on 1/2/2024", "2024"),
        ("version 1.2.3", "3"),
        ("question #5", "5"),
        ("1,0000", "10000"),
        ("The answer is not 7.", "7"),
        ("1/0", "0"),
    ],
)
def test_digits_of_a_name_a_pair_or_a_denial_are_no_answer(text: str, answer: str) -> None:
    assert verify(NAME, text, {"answer": answer}) == 0


@pytest.mark.parametrize(
    ("text", "right"), [("It weighs 5kg.", "5"), ("$5/hour", "5"), ("a 12-hour shift", "12")]
)
def test_a_unit_may_touch_its_number(text: str, right: str) -> None:
    assert verify(NAME, text, {"answer": right}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x = 2, 3",
        "2 or 3",
        "2 apples or 3 apples",
        "The pairs are (2,3)",
        "2-3",
        "2 and 3",
        "2 x 3",
        "2 - 3",
        "2 3",
    ],
)
def test_two_answers_are_none(text: str) -> None:
    assert [verify(NAME, text, {"answer": answer}) for answer in ("2", "3")] == [0, 0]


@pytest.mark.parametrize(
    "text", ["1e999999999", "10^99999999", "9" * 5000, "1/" * 3000, "(" * 9000, "1," * 3000]
)
def test_a_number_that_nobody_can_hold_is_no_answer_and_costs_nothing(text: str) -> None:
    assert answer_in(text) is None


@given(value=st.fractions(-1000, 1000, max_denominator=40))
def test_every_fraction_is_its_own_right_answer(value: Fraction) -> None:
    for text in (str(value), f"So the answer is {value}.", f"x = {value}", f"Answer: **{value}**"):
        assert verify(NAME, text, {"answer": str(value)}) == 1
        assert verify(NAME, text, {"answer": str(value + 1)}) == 0


@given(value=st.integers(-(10**15), 10**15))
def test_separators_change_no_value(value: int) -> None:
    for text in (
        f"{value:,}",
        f"{value:,}".replace(",", " "),
        f"{value:,}".replace(",", "\u2009"),
        f"{value}.0",
    ):
        assert verify(NAME, text, {"answer": str(value)}) == 1


@pytest.mark.parametrize(("text", "score"), [(" PARIS. ", 1), ("Paris, I think", 0), ("Paris 3", 0), ("", 0)])
def test_an_answer_that_is_no_number_compares_as_words(text: str, score: float) -> None:
    assert verify(NAME, text, {"answer": "Paris"}) == score


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "'answer'"),
        ({"answer": " . "}, "nothing"),
        ({"answer": 1.5}, "whole number"),
        ({"answer": "7", "x": 1}, "'x'"),
    ],
)
def test_a_gold_answer_that_says_nothing_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(AgonError, match=message) as caught:
        VERIFIERS[NAME].check_params(params)  # type: ignore[arg-type]
    assert caught.value.code == "competition_invalid"
