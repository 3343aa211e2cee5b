"""`word-limit-1`: at most so many words. One sentence obeys every prompt; `word-limit-2` wants a topic."""

from __future__ import annotations

from collections.abc import Sequence

from shared.judging.verifiers.verifier import PROSE_GATES, Example, Params, Verifier, count_of


def score(text: str, params: Params) -> float:
    """1 from max(3, words // 3) to `words` words, falling in a line to 0 at twice `words`.

    `params["words"]` is the limit. Fewer words than the floor score 0: saying nothing obeys every limit.
    """
    limit = count_of(params, "words")
    count = len(text.split())
    if count < max(3, limit // 3):
        return 0.0
    return min(1.0, max(0.0, (2 * limit - count) / limit))


def check_params(params: Params) -> None:
    """A limit is all it takes."""
    count_of(params, "words")


def examples(params: Params) -> Sequence[Example]:
    """Exactly the limit, and one word beyond twice the limit."""
    limit = count_of(params, "words")
    return (Example(params, "word " * limit, 1.0), Example(params, "word " * (2 * limit + 1), 0.0))


VERIFIER = Verifier("word-limit-1", score, check_params, examples, PROSE_GATES)
