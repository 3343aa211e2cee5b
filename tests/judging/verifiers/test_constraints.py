"""`constraints-1`: each constraint tells what obeys it from what does not, and saying nothing obeys none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.verifiers import VERIFIERS, verify
from shared.judging.verifiers.counted import COUNTS, count_sentences
from shared.judging.verifiers.languages import SAMPLES
from shared.judging.verifiers.shaped import SHAPES

NAME = "constraints-1"


def met(text: str, kind: str, /, **params: Any) -> float:
    return verify(NAME, text, {"constraints": [{"kind": kind, **params}]})


def at_most(count: int) -> dict[str, Any]:
    return {"constraints": [{"kind": "word-count", "relation": "at most", "count": count}]}


@pytest.mark.parametrize(
    ("text", "count", "relations"),
    [
        ("one two three", 3, (1, 1, 1)),
        ("one two three four", 3, (1, 0, 0)),
        ("one two three", 4, (0, 1, 0)),
        ("well-known and/or", 4, (1, 1, 1)),
        ("it's the dog's 1,000.50", 4, (1, 1, 1)),
        ("这是房子", 4, (1, 1, 1)),
    ],
)
def test_words_are_counted_in_three_relations(text: str, count: int, relations: tuple[int, int, int]) -> None:
    found = [
        met(text, "word-count", count=count, relation=name) for name in ("at least", "at most", "exactly")
    ]
    assert tuple(found) == relations
    assert met(text, "word-count", count=count) == relations[2]


@pytest.mark.parametrize("glue", ["-", "/", "_", "–", "\u2011", "\u200b", "."])
def test_words_glued_together_count_as_the_words_they_are(glue: str) -> None:
    text = "a lamp is a small thing that you can carry".replace(" ", glue) + " in your hand"
    assert verify(NAME, text, at_most(6)) == 0
    assert (
        verify(NAME, "a-lamp-is-a-small-thing-that-you-can-carry in your hand/and/use/at/night", at_most(6))
        == 0
    )
    assert verify(NAME, "A lamp is a light.", at_most(6)) == 1


@pytest.mark.parametrize("text", ["", " \n", "...", "\u200b", "🙂", "whale", "whale whale whale whale"])
def test_next_to_nothing_obeys_no_limit(text: str) -> None:
    assert verify(NAME, text, {**at_most(12), "topic": "whale"}) == 0


def test_a_text_about_something_else_meets_nothing() -> None:
    praise = {**at_most(12), "topic": "whale"}
    assert verify(NAME, "A little slice of my soul.", praise) == 0
    assert verify(NAME, "Great whales sing across a whole ocean.", praise) == 1
    assert verify("word-limit-2", "A little slice of my soul.", {"words": 12, "topic": "whale"}) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It is.", 1),
        ("It is", 1),
        ("It is. It was! Will it be?", 3),
        ("Dr. Who lives at 3.5 St. James Road in the U.S. now.", 1),
        ("Wait... what?!", 2),
        ("- one\n- two", 2),
        ('He said "yes." She left.', 2),
        ("这是房子。很大。", 2),
        ("!!! ??? ...", 0),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert count_sentences(text, {}) == count


@pytest.mark.parametrize(
    ("kind", "params", "right", "wrong"),
    [
        ("paragraph-count", {"count": 2}, "One.\n\nTwo.", "One.\nTwo."),
        ("bullet-count", {"count": 2}, "Two:\n* one\n* two", "* one\n- two\n+ three"),
        ("bullet-count", {"count": 2}, "- one\n  - two", "- one\n-\n- ---"),
        ("bullet-count", {"count": 2, "relation": "at least"}, "• a\n• b\n• c", "1. a\n2. b"),
        (
            "word-frequency",
            {"word": "owl", "count": 2},
            "Owls eat; an owl sleeps.",
            "An owl sleeps in a bowl.",
        ),
        ("placeholder-count", {"count": 1, "relation": "at least"}, "Dear [name], hi", "Dear [], hi"),
        (
            "required-words",
            {"words": ["owl", "barn door"]},
            "OWLS like barn doors",
            "An owl at a barn, a door",
        ),
        ("forbidden-words", {"words": ["owl"]}, "A bowl of fowl", "A barn-owl sleeps"),
        ("forbidden-words", {"words": ["owl"]}, "A knowl", "Owls sleep"),
        ("lower-case", {}, "all small, 3 of it", "One Capital"),
        ("lower-case", {}, "é", "3 4 5"),
        ("upper-case", {}, "ALL LARGE, 3 OF IT", "ONE small"),
        ("starts-with", {"text": "Well now"}, "“well  now, it goes", "Well nowhere"),
        ("ends-with", {"text": "That is all."}, "So. That is all", "That is all. Bye."),
        ("ends-with", {"text": "all"}, "That is all!", "That is a ball"),
        ("json", {"keys": ["a", "b"]}, '```json\n{"a": 1, "b": [], "c": 2}\n```', '{"a": 1}'),
        ("json", {}, '{"word": 1}', '["word"]'),
        ("json", {"keys": ["a"]}, '{"a": 1}', '{"a": 1} word'),
        ("no-commas", {}, "one; two", "one， two"),
        ("title", {}, "<<A day>>\nIt was.", "<A day>\n<<>> It was."),
        ("quoted", {}, ' "It was." ', '"It" was'),
        ("postscript", {}, "Dear you.\nP.S. More.", "Dear you. P.S."),
        ("postscript", {}, "Dear you. P.S. More.", "P.S. More."),
        ("postscript", {}, "Dear you.\n\nPS: more", "Dear psalms, more"),
        ("repeat-prompt", {"text": "Why is it so?"}, "Why is it so? Because.", "Because. Why is it so?"),
        ("repeat-prompt", {"text": "Why is it so?"}, "why is it  so?\nBecause.", "Why is it so?"),
    ],
)
def test_each_constraint_tells_right_from_wrong(
    kind: str, params: dict[str, Any], right: str, wrong: str
) -> None:
    assert (met(right, kind, **params), met(wrong, kind, **params)) == (1, 0)


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_a_language_is_told_from_all_others(language: str) -> None:
    passing = [code for code, text in SAMPLES.items() if met(text, "language", language=language)]
    assert passing == [language]


def test_the_score_is_the_share_that_is_met_or_all_or_nothing() -> None:
    constraints: list[Any] = [
        {"kind": "lower-case"},
        {"kind": "no-commas"},
        {"kind": "ends-with", "text": "the end"},
    ]
    params: dict[str, Any] = {"constraints": constraints}
    assert verify(NAME, "this is the end.", params) == 1
    assert verify(NAME, "this, is the end.", params) == pytest.approx(2 / 3)
    assert verify(NAME, "This, is the end.", {**params, "all": True}) == 0
    assert verify(NAME, "this is the end.", {**params, "all": True}) == 1


def test_there_is_an_example_of_every_constraint() -> None:
    words, text = {"words": ["owl", "lamp"]}, {"text": "It is."}
    given: dict[str, dict[str, Any]] = {
        **{
            kind: {"count": 2, "word": "owl"} if kind == "word-frequency" else {"count": 2} for kind in COUNTS
        },
        **{"required-words": words, "forbidden-words": words},
        **{"starts-with": text, "ends-with": text, "repeat-prompt": text},
        **{"language": {"language": "fr"}, "json": {"keys": ["a"]}},
    }
    assert len({*COUNTS, *SHAPES}) >= 12
    for relation in ("at least", "at most", "exactly"):
        for kind in (*COUNTS, *SHAPES):
            extra = {"relation": relation} if kind in COUNTS else {}
            params: dict[str, Any] = {"constraints": [{"kind": kind, **given.get(kind, {}), **extra}]}
            VERIFIERS[NAME].check_params(params)
            examples = VERIFIERS[NAME].examples(params)
            assert {example.score for example in examples} == {0.0, 1.0}
            for example in examples:
                assert verify(NAME, example.text, example.params) == example.score, (kind, relation, example)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "'constraints'"),
        ({"constraints": []}, "1 to 16"),
        ({"constraints": "json"}, "1 to 16"),
        ({"constraints": ["json"]}, "list of objects"),
        ({"constraints": [{}]}, "'kind'"),
        ({"constraints": [{"kind": "rhyme"}]}, "'rhyme'"),
        ({"constraints": [{"kind": "word-count"}]}, "'count'"),
        ({"constraints": [{"kind": "word-count", "count": 0}]}, "positive"),
        ({"constraints": [{"kind": "word-count", "count": True}]}, "positive"),
        ({"constraints": [{"kind": "word-count", "count": 3, "relation": "about"}]}, "'about'"),
        ({"constraints": [{"kind": "word-count", "count": 3, "words": 3}]}, "'words'"),
        ({"constraints": [{"kind": "word-frequency", "count": 3, "word": "!"}]}, "'!'"),
        ({"constraints": [{"kind": "required-words", "words": "owl"}]}, "list of texts"),
        ({"constraints": [{"kind": "required-words", "words": ["!"]}]}, "'!'"),
        ({"constraints": [{"kind": "starts-with", "text": "..."}]}, "no word"),
        ({"constraints": [{"kind": "language", "language": "xx"}]}, "'xx'"),
        ({"constraints": [{"kind": "json", "keys": []}]}, "'keys'"),
        ({"constraints": [{"kind": "lower-case"}, {"kind": "upper-case"}]}, "upper case"),
        ({"constraints": [{"kind": "forbidden-words", "words": ["owl"]}], "topic": "owl"}, "forbids"),
        (
            {
                "constraints": [
                    {"kind": "word-count", "count": 9, "relation": "at least"},
                    {"kind": "word-count", "count": 8, "relation": "at most"},
                ]
            },
            "at least 9 and at most 8",
        ),
        ({"constraints": [{"kind": "lower-case"}], "topic": "!"}, "no word"),
        ({"constraints": [{"kind": "lower-case"}], "all": 1}, "true or false"),
        ({"constraints": [{"kind": "lower-case"}], "some": 1}, "'some'"),
    ],
)
def test_malformed_parameters_are_refused_with_what_is_wrong(params: dict[str, Any], message: str) -> None:
    with pytest.raises(AgonError, match=message) as caught:
        VERIFIERS[NAME].check_params(params)
    assert caught.value.code == "competition_invalid"


@given(text=st.text(max_size=200), topic=st.sampled_from(["whale", "owl"]))
def test_without_the_topic_nothing_is_met(text: str, topic: str) -> None:
    bare = text.replace("w", "").replace("W", "")
    assert verify(NAME, bare, {"constraints": [{"kind": "no-commas"}], "topic": topic}) == 0
