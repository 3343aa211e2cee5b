"""Constraints of `constraints-1` that count things. Pure; `shaped.py` has the others.

Each is `{"kind", "count"}` with a `relation`, which is `at least`, `at most` or, by default, `exactly`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

from shared.judging.verifiers.verifier import Params, count_of, refuse, text_of
from shared.judging.verifiers.words import find_phrase, words_of

Relation = Literal["at least", "at most", "exactly"]
RELATIONS = ("at least", "at most", "exactly")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|no|fig)|\b[^\W\d_]|(?:^|\s)p\.\s?s)\.\Z", re.IGNORECASE
)
_STOP = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s|\Z)|[。！？]+|\n+")
_BULLET = re.compile(r"^[ \t]*[*+•-][ \t]+(\S.*)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\w[^\[\]\n]*\]")


def counted(text: str, params: Params) -> int:
    """What the constraint of this kind counts in a text."""
    return COUNTS[text_of(params, "kind")](text, params)


def meets_count(text: str, params: Params) -> bool:
    """Whether the count stands in its relation. `at most` is not met by saying next to nothing."""
    wanted, relation = read_count(params)
    found = counted(text, params)
    if relation == "at least":
        return found >= wanted
    if relation == "exactly":
        return found == wanted
    least = min(wanted, max(3, wanted // 3)) if params["kind"] == "word-count" else 0
    return found <= wanted and len(set(words_of(text))) >= least


def read_count(params: Params) -> tuple[int, Relation]:
    """The number and its relation."""
    relation = params.get("relation", "exactly")
    if relation not in RELATIONS:
        raise refuse(f"a constraint's relation is {relation!r}; known: {', '.join(RELATIONS)}")
    return count_of(params, "count"), cast(Relation, relation)


def count_words(text: str, _: Params) -> int:
    """Words; hyphens and slashes divide them."""
    return len(words_of(text))


def count_sentences(text: str, _: Params) -> int:
    """Sentences: what ends with a stop, a question or exclamation mark, or its line, and has a word."""
    count, start = 0, 0
    for stop in _STOP.finditer(text):
        if (
            stop.group() == "."
            and _ABBREVIATION.search(text[start : stop.end()])
            and text[stop.end() :].strip()
        ):
            continue
        count += bool(words_of(text[start : stop.end()]))
        start = stop.end()
    return count + bool(words_of(text[start:]))


def count_paragraphs(text: str, _: Params) -> int:
    """Parts with a word between blank lines."""
    return sum(bool(words_of(part)) for part in re.split(r"\n[ \t]*\n", text))


def count_bullets(text: str, _: Params) -> int:
    """Lines that begin with `-`, `*`, `+` or `•` and hold a word."""
    return sum(bool(words_of(bullet)) for bullet in _BULLET.findall(text))


def count_word(text: str, params: Params) -> int:
    """How often a word or phrase comes, also as a plural."""
    return len(find_phrase(words_of(text_of(params, "word")), words_of(text)))


def count_placeholders(text: str, _: Params) -> int:
    """Texts in square brackets, such as `[name]`."""
    return len(_PLACEHOLDER.findall(text))


COUNTS: dict[str, Callable[[str, Params], int]] = {
    "word-count": count_words,
    "sentence-count": count_sentences,
    "paragraph-count": count_paragraphs,
    "bullet-count": count_bullets,
    "word-frequency": count_word,
    "placeholder-count": count_placeholders,
}
"""Kind to what it counts."""


def sample_count(params: Params, change: int = 0) -> str:
    """A text with the constraint's count of its things, and `change` more."""
    count = read_count(params)[0] + change
    one = {
        "word-count": "word{n}",
        "sentence-count": "This is it.",
        "paragraph-count": "This is it.\n\n",
        "bullet-count": "- thing\n",
        "placeholder-count": "[name]",
    }.get(text_of(params, "kind"))
    if one is None:
        one = text_of(params, "word")
    return (
        " ".join(one.replace("{n}", str(number)) for number in range(count))
        if "\n" not in one
        else one * count
    )


def broken_count(params: Params) -> str:
    """A text whose count does not stand in the relation."""
    count, relation = read_count(params)
    return (
        sample_count(params, 1 if relation != "at least" else -1)
        if count > 1 or relation != "at least"
        else ""
    )
