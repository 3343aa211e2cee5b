"""Verifiers: in [0, 1] for any text, and saying nothing never pays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.verifiers import VERIFIERS, verify


@pytest.mark.parametrize(
    ("words", "score"),
    [(0, 0.0), (2, 0.0), (3, 0.0), (4, 1.0), (12, 1.0), (15, 0.75), (18, 0.5), (24, 0.0), (50, 0.0)],
)
def test_word_limit_pays_inside_and_falls_to_zero_at_twice(words: int, score: float) -> None:
    assert verify("word-limit-1", "word " * words, {"words": 12}) == pytest.approx(score)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("An owl hunts at night.", 1),
        ("Owls hunt at night.", 1),
        ("It is a bird that hunts.", 0),
        ("owl owl owl owl", 0),
        ("This sentence says nothing at all.", 0),
        ("An owl.", 0),
        ("An owl is a bird that one can hear at night.", 7 / 9),
        ("The knowl-edge bowl is what it is.", 0),
    ],
)
def test_word_limit_2_wants_the_topic_and_different_words(text: str, score: float) -> None:
    assert verify("word-limit-2", text, {"words": 9, "topic": "owl"}) == pytest.approx(score)


@pytest.mark.parametrize("topic", ["", " ", "barn owl"])
def test_a_topic_that_is_not_one_word_is_the_competitions_fault(topic: str) -> None:
    with pytest.raises(AgonError) as caught:
        verify("word-limit-2", "a b c d e", {"words": 9, "topic": topic})
    assert caught.value.code == "competition_invalid"


@pytest.mark.parametrize(
    ("text", "score"),
    [("42", 1), ("The answer is 42.", 1), ("6 times 7 is 42", 1), ("It is 41", 0), ("42 or 43", 0), ("", 0)],
)
def test_exact_answer_reads_the_last_number(text: str, score: float) -> None:
    assert verify("exact-answer-1", text, {"answer": "42"}) == score


@pytest.mark.parametrize(
    ("text", "answer", "score"),
    [
        ("That makes $65,960.", "65,960", 1),
        ("A: 65960", "65,960", 1),
        ("A: 88.0", "88", 1),
        ("It is -3", "3", 0),
        ("40 of 88", "40", 0),
        ("none", "40", 0),
        (" Paris.", "Paris", 1),
        ("Paris 3", "Paris", 0),
    ],
)
def test_same_answer_compares_values_and_not_spellings(text: str, answer: str, score: float) -> None:
    assert verify("exact-answer-2", text, {"answer": answer}) == score


def test_exact_answer_compares_words_without_case_or_final_stop() -> None:
    assert verify("exact-answer-1", " PARIS. ", {"answer": "Paris"}) == 1
    assert verify("exact-answer-1", "Paris, I think", {"answer": "Paris"}) == 0


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"a": 1, "b": 2}', 1),
        ('{"a": 1}', 0.5),
        ("[1]", 0),
        ("no", 0),
        ('{"a": 1} tail', 0),
        ("[" * 5000, 0),
    ],
)
def test_format_json_wants_one_object_with_its_keys(text: str, score: float) -> None:
    assert verify("format-json-1", text, {"keys": "a, b"}) == score


@given(text=st.text(max_size=300), name=st.sampled_from(sorted(VERIFIERS)))
def test_every_verifier_stays_in_range(text: str, name: str) -> None:
    assert 0 <= verify(name, text, {"words": 10, "topic": "a", "answer": "7", "keys": "a"}) <= 1


@pytest.mark.parametrize("name", ["word-limit-1", "word-limit-2", "exact-answer-1", "exact-answer-2"])
def test_nothing_said_earns_nothing(name: str) -> None:
    assert verify(name, "", {"words": 5, "topic": "a", "answer": "7"}) == 0


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("no-such-1", {}),
        ("word-limit-1", {}),
        ("word-limit-1", {"words": 0}),
        ("word-limit-1", {"words": "9"}),
    ],
)
def test_a_wrong_name_or_parameter_is_the_competitions_fault(name: str, params: dict[str, int | str]) -> None:
    with pytest.raises(AgonError) as caught:
        verify(name, "text", params)
    assert caught.value.code == "competition_invalid"
