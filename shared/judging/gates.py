"""Gates: cheap signs that a completion games a judge. Pure; names only, the price is in `score.py`.

A gate never skips a completion: it caps its score. Each sign is one small function, so that a miner can
ask which one closed and why. Rules of version 1 keep the signs that they were published with.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from itertools import groupby

from shared.protocol.competition import RULES_VERSION
from shared.protocol.evidence import NOT_TEXT, Completion
from shared.protocol.reference import Reference

ALWAYS = frozenset({"unfinished", "text"})
"""Gates that apply to every slice."""
LOOP_WORDS = 3
LOOP_DISTINCT = 0.7
"""Least share of distinct word trigrams, from four trigrams up."""
LOOP_CHARACTERS = 8
LOOP_REPEATS = 4
COMPRESSION_BYTES = 64
"""Shorter texts are not tested: the compressor's own frame would decide."""
COMPRESSION_FLOOR = 0.35
"""Least ratio of compressed to plain size (zlib level 9); English prose of this length is above .5."""
HIDDEN_RUN = 3
"""So many signs in a row that nobody sees are a message; emoji and Persian join with two at most."""
_PLAIN_CONTROLS = frozenset("\n\t\r")
_NUMERAL = re.compile(r"(?<!\w)(?=[0-9.,]{1,40}(?![0-9]))(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]++)(?:\.[0-9]++)?")
"""A number of at most 40 characters; its digits may repeat."""
_RULE = re.compile(r"(?<![-=_*.|+:~#…─━])[-=_*.|+:~#…─━]{3,80}(?![-=_*.|+:~#…─━])")
"""A drawn line or dots, at most as wide as a page."""
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f")
"""The flags of England, Scotland and Wales are spelt in tag characters."""
_TAG = re.compile("[\U000e0000-\U000e007f]")
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Signs that show nothing and that Unicode calls letters, marks or symbols."""


def closed_gates(
    completion: Completion,
    reference: Reference,
    rules_version: int = RULES_VERSION,
    declared: frozenset[str] | None = None,
) -> tuple[str, ...]:
    """Sorted names of the gates that close on a completion, given its slice's reference.

    `declared` are the gates that the slice's verifier names, none for a judged slice. From version 2 on only
    those and `ALWAYS` count on a verifier's slice, and none of its completions is too short.
    """
    text, tokens = completion.text, len(completion.token_ids)
    judged = declared is None or rules_version == 1
    short = judged and tokens < reference.lengths.low
    signs = {
        "unfinished": not completion.finished,
        "loop": loops(text, rules_version),
        "compression": compresses(text),
        "text": not is_text(text, rules_version),
        "nll": nll_per_token(completion) > reference.nll_high,
        "length": short or tokens > reference.lengths.high,
    }
    applicable = frozenset(signs) if declared is None or rules_version == 1 else declared | ALWAYS
    return tuple(sorted(name for name, closed in signs.items() if closed and name in applicable))


def loops(text: str, rules_version: int = RULES_VERSION) -> bool:
    """Whether word trigrams repeat too much, or a short run of characters comes four times in a row.

    From version 2 on digits of one number and the signs of one drawn line may repeat.
    """
    words = text.lower().split()
    grams = [tuple(words[i : i + LOOP_WORDS]) for i in range(len(words) - LOOP_WORDS + 1)]
    if len(grams) >= 4 and len(set(grams)) < LOOP_DISTINCT * len(grams):
        return True
    units = [0] * len(text) if rules_version == 1 else _units(text)
    sizes = range(2, LOOP_CHARACTERS + 1)
    return any(_run_length(text, units, size) >= (LOOP_REPEATS - 1) * size for size in sizes)


def _units(text: str) -> list[int]:
    """For each character the number of the numeral or drawn line that it belongs to, 0 for none."""
    units = [0] * len(text)
    for pattern in (_RULE, _NUMERAL):
        for match in pattern.finditer(text):
            units[match.start() : match.end()] = [match.start() + 1] * (match.end() - match.start())
    return units


def _run_length(text: str, units: list[int], size: int) -> int:
    """Longest run of positions i with text[i] == text[i + size], in a text with some variety in it."""
    longest = run = 0
    for index in range(len(text) - size):
        within = units[index] > 0 and units[index] == units[index + size]
        same = text[index] == text[index + size] and not text[index].isspace() and not within
        run = run + 1 if same else 0
        longest = max(longest, run)
    return longest


def compresses(text: str) -> bool:
    """Whether zlib shrinks the text below the floor: the sign of padding that no trigram repeats."""
    data = text.encode("utf-8", "replace")
    return len(data) >= COMPRESSION_BYTES and len(zlib.compress(data, 9)) < COMPRESSION_FLOOR * len(data)


def is_text(text: str, rules_version: int = RULES_VERSION) -> bool:
    """Whether the text says anything: not blank, no special token, broken UTF-8 or control character.

    From version 2 on a text of signs that nobody sees is blank, and a message in such signs is no text.
    """
    bad = any(
        unicodedata.category(sign) in {"Cc", "Cs", "Co"} and sign not in _PLAIN_CONTROLS for sign in text
    )
    says = text.strip() if rules_version == 1 else _is_open(text)
    return bool(says) and NOT_TEXT not in text and not bad


def _is_open(text: str) -> bool:
    """Whether a reader sees something, and sees all that is said."""
    shown = _FLAG.sub("\U0001f3f4", text)
    hidden = [(_is_hidden(sign), sign.isspace()) for sign in shown]
    longest = max(
        (len(list(run)) for (unseen, space), run in groupby(hidden) if unseen and not space), default=0
    )
    visible = any(not unseen and not space for unseen, space in hidden)
    return visible and longest < HIDDEN_RUN and not _TAG.search(shown)


def _is_hidden(sign: str) -> bool:
    variation = "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"
    return variation or sign in _BLANKS or unicodedata.category(sign) == "Cf"


def nll_per_token(completion: Completion) -> float:
    """Mean negative log-likelihood of the completion under the base model, nats per token."""
    return -completion.base_logprob / max(1, len(completion.token_ids))
