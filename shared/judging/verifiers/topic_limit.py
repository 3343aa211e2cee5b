"""`word-limit-2`: at most so many words about a topic."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.judging.verifiers import word_limit
from shared.judging.verifiers.verifier import (
    PROSE_GATES,
    Example,
    Params,
    Verifier,
    count_of,
    refuse,
    value_of,
)

WORD = re.compile(r"[^\W_]+")


def score(text: str, params: Params) -> float:
    """As `word-limit-1`, for a text that has the word `params["topic"]`, or it with an s; 0 for any other.

    The floor counts different words. One fixed sentence, or the topic over and over, passes `word-limit-1`.
    """
    limit, topic = count_of(params, "words"), _topic(params)
    words = WORD.findall(text.lower())
    if topic not in words and f"{topic}s" not in words:
        return 0.0
    return word_limit.score(text, params) if len(set(words)) >= max(3, limit // 3) else 0.0


def check_params(params: Params) -> None:
    """A limit and one word."""
    count_of(params, "words")
    _topic(params)


def examples(params: Params) -> Sequence[Example]:
    """The topic among other words, and other words alone."""
    limit, topic = count_of(params, "words"), _topic(params)
    others = " ".join(f"w{number}" for number in range(1, max(3, limit)))
    return (Example(params, f"{topic} {others}", 1.0), Example(params, f"w0 {others}", 0.0))


def _topic(params: Params) -> str:
    topic = str(value_of(params, "topic")).lower()
    if not WORD.fullmatch(topic):
        raise refuse(f"the verifier's topic {topic!r} is not one word")
    return topic


VERIFIER = Verifier("word-limit-2", score, check_params, examples, PROSE_GATES)
