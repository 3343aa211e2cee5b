"""Word limits: saying nothing never pays, and neither does one sentence for every topic."""

from __future__ import annotations

import pytest

from shared.errors import AgonError
from shared.judging.verifiers import verify


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


@pytest.mark.parametrize("params", [{}, {"words": 0}, {"words": "9"}])
def test_a_limit_that_is_no_positive_number_is_the_competitions_fault(params: dict[str, int | str]) -> None:
    with pytest.raises(AgonError) as caught:
        verify("word-limit-1", "text", params)
    assert caught.value.code == "competition_invalid"
