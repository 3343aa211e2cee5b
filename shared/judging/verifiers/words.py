"""Words of running text: how they are counted, and which forms are one word. Pure.

Hyphens, slashes and underscores divide words, so gluing words together wins nothing. Scripts without spaces
count each letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Khmer, Kana and Han."""
_WORD = re.compile(
    rf"[{UNSPACED}]|[0-9]+(?:[.,:][0-9]+)+|(?:[^\W_{UNSPACED}]|[\u0300-\u036f])+(?:['’][^\W_{UNSPACED}]+)*"
)
IRREGULAR = {
    "goose": "geese", "mouse": "mice", "louse": "lice", "foot": "feet", "tooth": "teeth", "man": "men",
    "woman": "women", "child": "children", "ox": "oxen", "person": "people", "die": "dice", "cactus": "cacti",
    "fungus": "fungi", "octopus": "octopi", "quiz": "quizzes", "color": "colour", "colors": "colours",
    "aluminum": "aluminium", "gray": "grey", "jewelry": "jewellery",
}  # fmt: skip
"""Plurals that no rule makes, and words that are spelt in two ways."""


def words_of(text: str) -> list[str]:
    """The words of a text without case; an apostrophe stays inside its word."""
    return [word.casefold().replace("’", "'") for word in _WORD.findall(text)]


def plurals(word: str) -> set[str]:
    """The forms that mean several of a word."""
    forms = {f"{word}s", f"{word}es"}
    if len(word) > 1 and word.endswith("y") and word[-2] not in "aeiou":
        forms.add(f"{word[:-1]}ies")
    for ending in ("fe", "f"):
        if word.endswith(ending):
            forms.add(f"{word.removesuffix(ending)}ves")
            break
    if word in IRREGULAR:
        forms.add(IRREGULAR[word])
    for ending in ("man", "foot", "goose", "mouse", "tooth", "child"):  # fireman, dormouse, grandchild
        if word.endswith(ending):
            forms.add(word.removesuffix(ending) + IRREGULAR[ending])
    return forms


def same_word(one: str, other: str) -> bool:
    """Whether two words are one, or one is the other's plural; `'s` is left out."""
    left, right = one.removesuffix("'s").removesuffix("'"), other.removesuffix("'s").removesuffix("'")
    return left == right or left in plurals(right) or right in plurals(left)


def find_phrase(phrase: Sequence[str], words: Sequence[str]) -> list[int]:
    """Where a phrase begins among words; each of its words may be plural."""
    if not phrase:
        return []
    starts = range(len(words) - len(phrase) + 1)
    return [
        start
        for start in starts
        if all(same_word(one, words[start + offset]) for offset, one in enumerate(phrase))
    ]
