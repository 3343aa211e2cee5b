"""Constraints of `constraints-1` on a text's words and shape. Pure; `counted.py` has those that count."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from shared.judging.verifiers.languages import LANGUAGES, SAMPLES, is_language
from shared.judging.verifiers.verifier import Params, refuse, text_of, texts_of
from shared.judging.verifiers.words import find_phrase, words_of

COMMAS = frozenset(",，、،﹐﹑")
"""Commas of all scripts."""
_TITLE = re.compile(r"<<[^<>\n]*\w[^<>\n]*>>")
_POSTSCRIPT = re.compile(
    r"(?:^|(?<=[.!?]))[ \t]*p\.?[ ]?s\.?(?!\w)[:\s]*(.*)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_FENCE = re.compile(r"\A\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*\Z", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"\s*[\"“].*\w.*[\"”]\s*", re.DOTALL)
_EDGES = " \t\n\"'“”‘’.!?…"


class Shape(NamedTuple):
    """One kind of constraint."""

    met: Callable[[str, Params], bool]
    check: Callable[[Params], object]
    """Raises AgonError `competition_invalid` for parameters that make no sense."""
    names: frozenset[str]
    """Parameters besides `kind`."""
    right: Callable[[Params], str]
    """A text that meets it."""
    wrong: Callable[[Params], str]
    """A text with a word that does not."""


def _has(text: str, word: str) -> bool:
    return bool(find_phrase(words_of(word), words_of(text)))


def has_words(text: str, params: Params) -> bool:
    """All of the words, each also as a plural."""
    return all(_has(text, word) for word in _words(params))


def lacks_words(text: str, params: Params) -> bool:
    """None of the words, nor their plurals, also not inside hyphens."""
    return not any(_has(text, word) for word in _words(params))


def starts_with(text: str, params: Params) -> bool:
    """Begins with a text as whole words, but for case, spacing and quotation marks."""
    return _begins(_even(text), _even(text_of(params, "text")))


def ends_with(text: str, params: Params) -> bool:
    """Ends with a text as whole words, but for case, spacing, quotation marks and the last stop."""
    return _begins(_even(text)[::-1], _even(text_of(params, "text"))[::-1])


def repeats_first(text: str, params: Params) -> bool:
    """Begins with the prompt and then goes on with at least one word of its own."""
    return starts_with(text, params) and len(words_of(text)) > len(words_of(text_of(params, "text")))


def _begins(text: str, start: str) -> bool:
    return text.startswith(start) and not (text[len(start) :][:1].isalnum() and start[-1:].isalnum())


def _even(text: str) -> str:
    return " ".join(text.casefold().split()).strip(_EDGES)


def is_json(text: str, params: Params) -> bool:
    """One JSON object with the keys, bare or in a fence."""
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and set(_keys(params)) <= set(value)


def has_postscript(text: str, _: Params) -> bool:
    """Words, then `P.S.` at the start of a line or sentence, then words."""
    return any(
        words_of(found.group(1)) and words_of(text[: found.start()]) for found in _POSTSCRIPT.finditer(text)
    )


def in_language(text: str, params: Params) -> bool:
    """In the language, by script and commonest words."""
    return is_language(text, _language(params))


def _keys(params: Params) -> tuple[str, ...]:
    return texts_of(params, "keys") if "keys" in params else ()


def _words(params: Params) -> tuple[str, ...]:
    words = texts_of(params, "words")
    for word in words:
        if not words_of(word):
            raise refuse(f"a constraint's word {word!r} is no word")
    return words


def _phrase(params: Params) -> str:
    text = text_of(params, "text")
    if not words_of(text):
        raise refuse(f"a constraint's text {text!r} has no word")
    return text


def _language(params: Params) -> str:
    language = text_of(params, "language")
    if language not in LANGUAGES:
        raise refuse(f"a constraint's language is {language!r}; known: {', '.join(sorted(LANGUAGES))}")
    return language


def _another_language(params: Params) -> str:
    return SAMPLES["ru" if _language(params) != "ru" else "el"]


def _nothing(params: Params) -> None:
    """A constraint without parameters."""


def _says(text: str) -> Callable[[Params], str]:
    return lambda _: text


def _plainly(met: Callable[[str], bool], right: str, wrong: str) -> Shape:
    """A constraint without parameters."""
    return Shape(lambda text, _: met(text), _nothing, frozenset(), _says(right), _says(wrong))


def _lacks_commas(text: str) -> bool:
    return not COMMAS & set(text)


def _has_title(text: str) -> bool:
    return _TITLE.search(text) is not None


def _is_quoted(text: str) -> bool:
    return _QUOTED.fullmatch(text) is not None


def _any_object(params: Params) -> str:
    return json.dumps(dict.fromkeys(_keys(params), "word") or {"word": 1})


_WORDS, _TEXT = frozenset({"words"}), frozenset({"text"})
SHAPES: dict[str, Shape] = {
    "required-words": Shape(has_words, _words, _WORDS, lambda p: " ".join(_words(p)), _says("0")),
    "forbidden-words": Shape(lacks_words, _words, _WORDS, _says("0"), lambda p: f"0 {_words(p)[0]}"),
    "lower-case": _plainly(str.islower, "all small", "Not small"),
    "upper-case": _plainly(str.isupper, "ALL LARGE", "Not large"),
    "starts-with": Shape(starts_with, _phrase, _TEXT, lambda p: f"{_phrase(p)} it goes", _says("0")),
    "ends-with": Shape(ends_with, _phrase, _TEXT, lambda p: f"It goes {_phrase(p)}", _says("0")),
    "repeat-prompt": Shape(repeats_first, _phrase, _TEXT, lambda p: f"{_phrase(p)}\n\nIt goes.", _phrase),
    "json": Shape(is_json, _keys, frozenset({"keys"}), _any_object, _says("no")),
    "no-commas": _plainly(_lacks_commas, "one and two", "one, two"),
    "title": _plainly(_has_title, "<<A title>>\nText.", "A title\nText."),
    "quoted": _plainly(_is_quoted, '"It goes."', "It goes."),
    "postscript": Shape(
        has_postscript, _nothing, frozenset(), _says("It goes.\nP.S. It went."), _says("It goes.")
    ),
    "language": Shape(
        in_language, _language, frozenset({"language"}), lambda p: SAMPLES[_language(p)], _another_language
    ),
}
"""Kind to constraint."""
