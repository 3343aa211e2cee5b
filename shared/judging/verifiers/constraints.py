"""`constraints-1`: how many of a prompt's constraints a text meets.

`{"constraints": [{"kind": "word-count", "relation": "at most", "count": 9}], "topic": "whale", "all": true}`;
the kinds are in `counted.py` and `shaped.py`. A text without a word, or without the topic where the prompt
has one, meets nothing: one fixed sentence would obey every prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from shared.judging.verifiers.counted import COUNTS, broken_count, meets_count, read_count, sample_count
from shared.judging.verifiers.shaped import SHAPES
from shared.judging.verifiers.verifier import (
    SHAPE_GATES,
    Example,
    Params,
    Verifier,
    check_names,
    flag_of,
    refuse,
    text_of,
    texts_of,
    value_of,
)
from shared.judging.verifiers.words import find_phrase, words_of

MOST = 16
"""Constraints of one prompt."""


def score(text: str, params: Params) -> float:
    """The share of the constraints that the text meets; with `all`, 1 when it meets all of them, else 0."""
    constraints, topic = _constraints(params), _topic(params)
    words = words_of(text)
    if not words or (topic and not find_phrase(topic, words)):
        return 0.0
    met = sum(_is_met(text, constraint) for constraint in constraints)
    return float(met == len(constraints)) if flag_of(params, "all") else met / len(constraints)


def _is_met(text: str, constraint: Params) -> bool:
    kind = str(constraint["kind"])
    return meets_count(text, constraint) if kind in COUNTS else SHAPES[kind].met(text, constraint)


def check_params(params: Params) -> None:
    """Known constraints that one text can meet together."""
    check_names(params, frozenset({"constraints", "topic", "all"}))
    flag_of(params, "all")
    topic, constraints = _topic(params), _constraints(params)
    for constraint in constraints:
        _check(constraint)
    _check_together(constraints, topic)


def _constraints(params: Params) -> tuple[Params, ...]:
    value = value_of(params, "constraints")
    if not isinstance(value, list) or not 1 <= len(value) <= MOST:
        raise refuse(f"the verifier's parameter 'constraints' must be a list of 1 to {MOST} objects")
    found: list[Params] = []
    for item in value:
        if not isinstance(item, dict):
            raise refuse("the verifier's parameter 'constraints' must be a list of objects")
        kind = text_of(item, "kind")
        if kind not in COUNTS and kind not in SHAPES:
            raise refuse(f"a constraint's kind is {kind!r}; known: {', '.join(sorted({*COUNTS, *SHAPES}))}")
        found.append(item)
    return tuple(found)


def _check(constraint: Params) -> None:
    kind = str(constraint["kind"])
    if kind in SHAPES:
        check_names(constraint, SHAPES[kind].names | {"kind"})
        SHAPES[kind].check(constraint)
        return
    word = frozenset({"word"}) if kind == "word-frequency" else frozenset()
    check_names(constraint, word | {"kind", "count", "relation"})
    read_count(constraint)
    if word and not words_of(text_of(constraint, "word")):
        raise refuse(f"a constraint's word {constraint['word']!r} is no word")


def _check_together(constraints: Sequence[Params], topic: Sequence[str]) -> None:
    kinds = {str(constraint["kind"]) for constraint in constraints}
    if {"lower-case", "upper-case"} <= kinds:
        raise refuse("no text is all lower case and all upper case")
    wanted = [list(topic)] if topic else []
    wanted += [
        words_of(word)
        for each in constraints
        if each["kind"] == "required-words"
        for word in texts_of(each, "words")
    ]
    for each in constraints:
        for word in texts_of(each, "words") if each["kind"] == "forbidden-words" else ():
            if any(find_phrase(words_of(word), phrase) for phrase in wanted):
                raise refuse(f"a constraint forbids the word {word!r} that the prompt asks for")
    for kind in sorted(kinds & set(COUNTS) - {"word-frequency"}):
        bounds = [read_count(each) for each in constraints if each["kind"] == kind]
        least = max((count for count, relation in bounds if relation != "at most"), default=0)
        most = min((count for count, relation in bounds if relation != "at least"), default=least)
        if least > most:
            raise refuse(f"the constraints of kind {kind!r} ask for at least {least} and at most {most}")


def _topic(params: Params) -> tuple[str, ...]:
    if "topic" not in params:
        return ()
    words = tuple(words_of(text_of(params, "topic")))
    if not words:
        raise refuse(f"the verifier's topic {params['topic']!r} is no word")
    return words


def examples(params: Params) -> Sequence[Example]:
    """Of each constraint alone, a text that meets it and one that does not; nothing said scores 0.

    No text for all together: whether one exists is for the owner to show with gold answers.
    """
    found = [Example(params, "", 0.0)]
    for constraint in _constraints(params):
        kind, alone = str(constraint["kind"]), _alone(constraint)
        right, wrong = (
            (sample_count(constraint), broken_count(constraint))
            if kind in COUNTS
            else (SHAPES[kind].right(constraint), SHAPES[kind].wrong(constraint))
        )
        found += [Example(alone, right, 1.0), Example(alone, wrong, 0.0)]
    if "topic" in params:
        found.append(Example(params, "0 1 2 3", 0.0))
    return found


def _alone(constraint: Params) -> dict[str, JsonValue]:
    return {"constraints": [dict(constraint)]}


VERIFIER = Verifier("constraints-1", score, check_params, examples, SHAPE_GATES)
