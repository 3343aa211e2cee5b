"""The older exact answers score as they always did: evidence that used them must replay."""

from __future__ import annotations

import pytest

from shared.judging.verifiers import verify


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


@pytest.mark.parametrize(
    ("text", "answer", "score"),
    [
        ("The answer is .5", "5", 1),
        ("1e3", "3", 1),
        ("The pairs are (2,3)", "23", 1),
        ("So it is −5.", "-5", 0),
    ],
)
def test_the_faults_of_the_second_stay_under_its_name(text: str, answer: str, score: float) -> None:
    assert verify("exact-answer-2", text, {"answer": answer}) == score


def test_exact_answer_compares_words_without_case_or_final_stop() -> None:
    assert verify("exact-answer-1", " PARIS. ", {"answer": "Paris"}) == 1
    assert verify("exact-answer-1", "Paris, I think", {"answer": "Paris"}) == 0
