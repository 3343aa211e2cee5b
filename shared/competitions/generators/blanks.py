"""Templates whose blanks are filled from lists of words: what the word problems are made of.

A blank's number of choices counts only where the text has it, so a template's size is the number of its
wordings. Nothing here knows of any one kind of problem.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from shared.competitions.generators.chance import Chance
from shared.competitions.generators.generator import Side, Template, Wording
from shared.competitions.generators.words import DAYS, NAMES, PLACES

FRIEND = "friend"
"""Blank with another name than the blank `name`."""


class Case(NamedTuple):
    """One choice of the numbers of a problem."""

    blanks: Mapping[str, int | str]
    """Words for the text. Other cases must differ in them."""
    params: dict[str, JsonValue]


def fill_blanks(
    text: str, cases: Sequence[Case], side: Side, more: Mapping[str, Sequence[str]] | None = None
) -> Template:
    """A template of `text` that meets every case and every choice of the words that its blanks name.

    Blanks `name`, `friend`, `place` and `day` are known; `more` has further lists of words.
    """
    lists: dict[str, Sequence[str]] = {
        "name": NAMES[side],
        "place": PLACES[side],
        "day": DAYS,
        **(more or {}),
    }
    used = {field for _, field, _, _ in string.Formatter().parse(text) if field}
    blanks = [blank for blank in lists if blank in used]
    sizes = [len(lists[blank]) for blank in blanks]
    friends = [len(NAMES[side]) - 1] if FRIEND in used else []
    return Template((len(cases), *sizes, *friends), _writer(text, cases, blanks, lists, side))


def _writer(
    text: str, cases: Sequence[Case], blanks: Sequence[str], lists: Mapping[str, Sequence[str]], side: Side
) -> Callable[[Sequence[int], Chance], Wording]:
    def write(fields: Sequence[int], _: Chance) -> Wording:
        case, *chosen = fields
        words = {blank: lists[blank][index] for blank, index in zip(blanks, chosen, strict=False)}
        if len(chosen) > len(blanks):
            others = [name for name in NAMES[side] if name != words["name"]]
            words[FRIEND] = others[chosen[-1]]
        return Wording(text.format(**words, **cases[case].blanks), dict(cases[case].params))

    return write
