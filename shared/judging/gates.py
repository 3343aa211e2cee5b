"""Gates: cheap signs that a completion games a judge. Pure; names only, the price is in `score.py`.

A gate never skips a completion: it caps its score. Each sign is one small function, so that a miner can
ask which one closed and why.
"""

from __future__ import annotations

import unicodedata
import zlib

from shared.protocol.evidence import NOT_TEXT, Completion
from shared.protocol.reference import Reference

LOOP_WORDS = 3
LOOP_DISTINCT = 0.7
"""Least share of distinct word trigrams, from four trigrams up."""
LOOP_CHARACTERS = 8
LOOP_REPEATS = 4
COMPRESSION_BYTES = 64
"""Shorter texts are not tested: the compressor's own frame would decide."""
COMPRESSION_FLOOR = 0.35
"""Least ratio of compressed to plain size (zlib level 9); English prose of this length is above .5."""
_PLAIN_CONTROLS = frozenset("\n\t\r")


def closed_gates(completion: Completion, reference: Reference) -> tuple[str, ...]:
    """Sorted names of the gates that close on a completion, given its slice's reference."""
    text, tokens = completion.text, len(completion.token_ids)
    signs = {
        "unfinished": not completion.finished,
        "loop": loops(text),
        "compression": compresses(text),
        "text": not is_text(text),
        "nll": nll_per_token(completion) > reference.nll_high,
        "length": not reference.lengths.low <= tokens <= reference.lengths.high,
    }
    return tuple(sorted(name for name, closed in signs.items() if closed))


def loops(text: str) -> bool:
    """Whether word trigrams repeat too much, or a short run of characters comes four times in a row."""
    words = text.lower().split()
    grams = [tuple(words[i : i + LOOP_WORDS]) for i in range(len(words) - LOOP_WORDS + 1)]
    if len(grams) >= 4 and len(set(grams)) < LOOP_DISTINCT * len(grams):
        return True
    return any(_run_length(text, size) >= (LOOP_REPEATS - 1) * size for size in range(2, LOOP_CHARACTERS + 1))


def _run_length(text: str, size: int) -> int:
    """Longest run of positions i with text[i] == text[i + size], in a text with some variety in it."""
    longest = run = 0
    for index in range(len(text) - size):
        same = text[index] == text[index + size] and not text[index].isspace()
        run = run + 1 if same else 0
        longest = max(longest, run)
    return longest


def compresses(text: str) -> bool:
    """Whether zlib shrinks the text below the floor: the sign of padding that no trigram repeats."""
    data = text.encode("utf-8", "replace")
    return len(data) >= COMPRESSION_BYTES and len(zlib.compress(data, 9)) < COMPRESSION_FLOOR * len(data)


def is_text(text: str) -> bool:
    """Whether the text says anything: not blank, no special token, broken UTF-8 or control character."""
    bad = any(
        unicodedata.category(sign) in {"Cc", "Cs", "Co"} and sign not in _PLAIN_CONTROLS for sign in text
    )
    return bool(text.strip()) and NOT_TEXT not in text and not bad


def nll_per_token(completion: Completion) -> float:
    """Mean negative log-likelihood of the completion under the base model, nats per token."""
    return -completion.base_logprob / max(1, len(completion.token_ids))
