"""`choice-1` pays the right option, said of the right thing and without a way out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.verifiers import VERIFIERS, verify

NAME = "choice-1"
PLUM: dict[str, Any] = {
    "options": ["fish", "fruit", "tool", "musical instrument"],
    "answer": "fruit",
    "subject": "plum",
}


@pytest.mark.parametrize(
    "text",
    [
        "A plum is a fruit.",
        "Plums are fruits.",
        "The plum belongs to the category of fruits.",
        "a plum is a sweet, round fruit that grows on trees",
        "A plum is B.",
        "B) A plum is a fruit.",
        "A plum's a kind of fruit.",
        "I would call the plum a fruit.",
        "A plum is a fruit that one can eat or cook.",
        "PLUMS ARE FRUIT",
    ],
)
def test_the_right_option_in_a_sentence_scores(text: str) -> None:
    assert verify(NAME, text, PLUM) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fruit",
        "B",
        "It is a fruit.",
        "Plum = fruit",
        "Plum: fruit",
        "Solo = A valley",
        "plum fruit plum",
        "plum fruit is",
        "Is a plum a fruit?",
        "A plum is a fish.",
        "A plum is a fruit and a fish.",
        "A plum is a fruit, a fish, a tool or a musical instrument.",
        "A plum is either a fruit or a tool.",
        "A plum is either a fruit or something else.",
        "A plum is a fruit or a vegetable.",
        "A plum is a vegetable or a kind of fruit.",
        "A plum is not a fruit.",
        "A plum isn't a fruit.",
        "A plum isn’t a fruit.",
        "A plum is no fruit.",
        "A plum is unlike a fruit.",
        "Maybe a plum is a fruit.",
        "A plum may be a fruit.",
        "A plum is a fruit, I am not sure.",
        "A plum is a fruit. No, it isn't.",
        "A) A plum is a fruit.",
        "A plum is a fruit. The answer is D.",
        "A plum is a fruitcake.",
    ],
)
def test_another_option_a_doubt_or_no_sentence_scores_nothing(text: str) -> None:
    assert verify(NAME, text, PLUM) == 0


@pytest.mark.parametrize("noun", ["plum", "hammer", "flute", "shark"])
def test_one_sentence_for_every_prompt_earns_chance_and_a_fixed_noun_nothing(noun: str) -> None:
    answers = ["fish", "fruit", "tool", "musical instrument"]
    scores = [
        verify(
            NAME,
            f"A {noun} is a type of fish that lives in the sea.",
            {**PLUM, "subject": noun, "answer": answer},
        )
        for answer in answers
    ]
    assert scores == [1, 0, 0, 0]
    assert verify(NAME, "A herring is a type of fish.", {**PLUM, "subject": noun, "answer": "fish"}) == 0


@pytest.mark.parametrize(
    ("subject", "answer", "text"),
    [
        ("goose", "bird", "Geese are birds."),
        ("mouse", "mammal", "Mice are mammals."),
        ("loaf", "food", "Loaves are food."),
        ("knife", "tool", "Knives are tools."),
        ("cherry", "fruit", "Cherries are fruits."),
        ("fox", "mammal", "Foxes are mammals."),
        ("person", "mammal", "People are mammals."),
        ("cello", "musical instrument", "Cellos are musical instruments."),
        ("shirt", "piece of clothing", "Shirts are pieces of clothing."),
        ("turquoise", "color", "Turquoise is a colour."),
        ("apple tree", "tree", "An apple tree is a tree."),
        ("Monday", "day", "Monday is a day."),
    ],
)
def test_plurals_and_spellings_are_known(subject: str, answer: str, text: str) -> None:
    assert verify(NAME, text, {"options": [answer, "planet"], "answer": answer, "subject": subject}) == 1


def test_a_subject_that_holds_an_option_does_not_name_it() -> None:
    params: dict[str, Any] = {"options": ["tree", "fruit"], "answer": "fruit", "subject": "apple tree"}
    assert verify(NAME, "The apple tree is a fruit.", params) == 1
    assert verify(NAME, "The tree is an apple tree, a fruit.", params) == 0


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Monday", 1),
        ("On a Monday.", 1),
        ("She joins on Monday.", 1),
        ("B", 1),
        ("(B)", 1),
        ("The answer is B.", 1),
        ("Option B", 1),
        ("B) Monday", 1),
        ("A) Monday", 0),
        ("C", 0),
        ("B or C", 0),
        ("Monday or Sunday", 0),
        ("Is it Monday?", 0),
        ("It lacks vitamin B.", 0),
        ("A good day", 0),
    ],
)
def test_without_a_subject_the_option_or_its_letter_is_enough(text: str, score: float) -> None:
    assert verify(NAME, text, {"options": ["Sunday", "Monday", "Friday"], "answer": "Monday"}) == score


def test_may_is_a_month_and_no_doubt() -> None:
    assert (
        verify(NAME, "The second of May is a Monday.", {"options": ["Sunday", "Monday"], "answer": "Monday"})
        == 1
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": "fruit"}, "list of texts"),
        ({"options": []}, "list of texts"),
        ({"options": ["fruit"]}, "2 to 26"),
        ({"options": ["fruit", "Fruit"]}, "twice"),
        ({"options": ["fruit", "fruits"]}, "one word"),
        ({"options": ["fruit", " "]}, "not blank"),
        ({"options": ["fruit", 3]}, "not blank"),
        ({"options": ["fruit", "!"]}, "'!'"),
        ({"options": ["fruit", "no"]}, "'no'"),
        ({"answer": "stone"}, "none of its options"),
        ({"answer": 3}, "'answer'"),
        ({"subject": "fruit"}, "one of its options"),
        ({"subject": "?"}, "no word"),
        ({"subjekt": "plum"}, "'subjekt'"),
    ],
)
def test_malformed_parameters_are_refused_with_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(AgonError, match=message) as caught:
        VERIFIERS[NAME].check_params({**PLUM, **change})
    assert caught.value.code == "competition_invalid"


@given(st.text(max_size=200))
def test_a_text_without_the_right_option_never_scores(text: str) -> None:
    assert (
        verify(
            NAME,
            text.replace("f", "").replace("F", ""),
            {"options": ["fig", "fly"], "answer": "fig", "subject": "x"},
        )
        == 0
    )


def test_its_own_examples_hold() -> None:
    for example in VERIFIERS[NAME].examples(PLUM):
        assert verify(NAME, example.text, example.params) == example.score
