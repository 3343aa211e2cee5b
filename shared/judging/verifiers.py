"""Programmatic judges: what a slice of kind `verifier:NAME` gives a completion, in [0, 1].

Pure functions of the completion's text and the prompt's parameters, found by name. A verifier's score is
final on its slice; the gates still apply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from shared.errors import AgonError

Params = Mapping[str, int | str]
Verifier = Callable[[str, Params], float]

WORD = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def word_limit(text: str, params: Params) -> float:
    """1 from max(3, words // 3) to `words` words, falling in a line to 0 at twice `words`.

    `params["words"]` is the limit. Fewer words than the floor score 0: saying nothing obeys every limit.
    """
    limit = _number(params, "words")
    count = len(text.split())
    if count < max(3, limit // 3):
        return 0.0
    return min(1.0, max(0.0, (2 * limit - count) / limit))


def topic_limit(text: str, params: Params) -> float:
    """As `word_limit`, for a text that has the word `params["topic"]`, or it with an s; 0 for any other.

    The floor counts different words. One fixed sentence, or the topic over and over, passes `word-limit-1`.
    """
    limit, topic = _number(params, "words"), str(_param(params, "topic")).lower()
    if not WORD.fullmatch(topic):
        raise AgonError("competition_invalid", f"the verifier's topic {topic!r} is not one word")
    words = WORD.findall(text.lower())
    if topic not in words and f"{topic}s" not in words:
        return 0.0
    return word_limit(text, params) if len(set(words)) >= max(3, limit // 3) else 0.0


def exact_answer(text: str, params: Params) -> float:
    """1 when the last number or, without one, the whole text equals `params["answer"]`; else 0."""
    wanted = _plain(str(_param(params, "answer")))
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    found = {_plain(text), *numbers[-1:]}
    return float(wanted in found)


def same_answer(text: str, params: Params) -> float:
    """1 when the last number of the text has the value of `params["answer"]`; else 0.

    `1,450,000`, `1450000` and `1450000.0` are one value. Where the answer is no number, the whole text has
    to equal it. `exact-answer-1` compares spellings and so fails right answers to `65,960`.
    """
    wanted = str(_param(params, "answer"))
    value = number_of(wanted)
    if value is None:
        return float(_plain(text) == _plain(wanted))
    numbers = NUMBER.findall(text.replace(",", ""))
    return float(bool(numbers) and Decimal(numbers[-1]) == value)


def number_of(text: str) -> Decimal | None:
    """The value of a text that is one decimal number, with or without thousands separators."""
    plain = text.strip().replace(",", "")
    return Decimal(plain) if NUMBER.fullmatch(plain) else None


def format_json(text: str, params: Params) -> float:
    """1 when the text is one JSON object with the comma-separated `params["keys"]`, .5 for any object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return 0.0
    if not isinstance(value, dict):
        return 0.0
    keys = {key.strip() for key in str(params.get("keys", "")).split(",")} - {""}
    return 1.0 if keys <= set(value) else 0.5


VERIFIERS: Mapping[str, Verifier] = {
    "word-limit-1": word_limit,
    "word-limit-2": topic_limit,
    "exact-answer-1": exact_answer,
    "exact-answer-2": same_answer,
    "format-json-1": format_json,
}
"""Name to verifier. A changed rule gets a new name: old evidence must replay."""


def verify(name: str, text: str, params: Params) -> float:
    """Score of `text` under verifier `name`. Raises AgonError `competition_invalid` for an unknown name."""
    if name not in VERIFIERS:
        raise AgonError("competition_invalid", f"no verifier is called {name!r}; known: {sorted(VERIFIERS)}")
    return VERIFIERS[name](text, params)


def _param(params: Params, name: str) -> int | str:
    if name not in params:
        raise AgonError("competition_invalid", f"a prompt lacks the verifier's parameter {name!r}")
    return params[name]


def _number(params: Params, name: str) -> int:
    value = _param(params, name)
    if not isinstance(value, int) or value < 1:
        raise AgonError(
            "competition_invalid", f"the verifier's parameter {name!r} must be a positive integer"
        )
    return value


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .!?")
