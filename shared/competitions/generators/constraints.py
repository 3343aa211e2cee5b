"""`constraints-1`: write about a noun under constraints that a program can check.

Each template has a fixed set of constraints that go together: no text in lower case must start with a capital
letter, a word that must occur is never forbidden, and every limit leaves room for what must be in the text.
The verifier `constraints-1` reads `params["constraints"]`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from shared.competitions.generators.chance import Chance
from shared.competitions.generators.generator import (
    SIDES,
    Generator,
    Side,
    Template,
    TemplateGenerator,
    Wording,
)
from shared.competitions.generators.taxonomy import load_taxonomy

NAME = "constraints-1"

Blanks = Mapping[str, str | int]

NAMES_LEFT_OUT = ("country", "city")
"""Categories whose nouns have a capital letter, which a text in lower case would misspell."""

NUMBERS: Mapping[str, range] = {
    "most": range(14, 41),
    "least": range(10, 31),
    "lines": range(2, 6),
    "k": range(2, 5),
}
"""Word limits, numbers of bullets and of sentences, by the blank of a text that has them."""

ROOM = 20
"""Words between the least and the most. The verifier's floor, a third of the most, stays below the least."""

OTHERS = {"other": "topic", "other_key": "key"}
"""Blanks that take another word of the same list."""

LISTS: Mapping[Side, Mapping[str, tuple[str, ...]]] = {
    "public": {
        "quality": (
            "bright",
            "cheap",
            "famous",
            "heavy",
            "modern",
            "quiet",
            "rare",
            "simple",
            "useful",
            "warm",
        ),
        "banned": ("very", "good", "because", "people", "also", "many", "often", "like", "with", "make"),
        "start": ("Perhaps", "Today", "Honestly", "Once", "Nowadays", "Surely"),
        "end": ("That is all.", "Thanks for reading.", "I am sure of it.", "Try it yourself."),
        "key": ("name", "kind", "size", "use", "place", "origin"),
    },
    "held-out": {
        "quality": ("broad", "clean", "fancy", "gentle", "light", "narrow", "old", "plain", "strong", "tiny"),
        "banned": ("really", "great", "since", "world", "which", "some", "usually", "such", "from", "used"),
        "start": ("Clearly", "Indeed", "Somehow", "Yesterday", "Maybe", "Luckily"),
        "end": ("Now you know.", "So much for today.", "Nothing else matters.", "See it once."),
        "key": ("title", "class", "weight", "purpose", "home", "price"),
    },
}
"""Words of the constraints, by the blank of a text that has them."""

TEXTS: Mapping[Side, tuple[tuple[str, str], ...]] = {
    "public": (
        (
            "most, other",
            "Write about {thing} in at most {most} words. Your text has to include the words {topic}"
            " and {other}.",
        ),
        (
            "least, most, other",
            "Tell me about {thing} using at least {least} and at most {room} words, and mention both"
            " {topic} and {other}.",
        ),
        (
            "sentences, quality, other, banned",
            "Describe {thing} in at most {k} sentences. Use the words {topic}, {quality} and {other},"
            " but never the word {banned}.",
        ),
        (
            "lower, most, other",
            "In lowercase letters only, and in at most {most} words, compare {thing} with"
            " {the_other}. Use the words {topic} and {other}.",
        ),
        (
            "upper, most, quality, other",
            "Write an advertisement for {thing} in capital letters only, with at most {most} words."
            " It must contain {topic}, {quality} and {other}.",
        ),
        (
            "start, other, banned",
            "Write a short text that starts with the word {start} and contains the words {topic} and"
            " {other}. It should be about {thing} and not use the word {banned}.",
        ),
        (
            "end, other, banned",
            "Write a few lines about {thing} that mention {topic} and {other}, avoid the word"
            " {banned} and end with the sentence: {end}",
        ),
        (
            "bullets, other, banned",
            "Make a list about {thing} with exactly {lines} bullet points, each starting with an"
            " asterisk. Mention {topic} and {other}, and never use the word {banned}.",
        ),
        (
            "no commas, least, other",
            "Without any commas, write at least {least} words about {thing}. The words {topic} and"
            " {other} must appear.",
        ),
        (
            "postscript, other, banned",
            "Write a note to a friend about {thing}, with {topic} and {other} in it but not {banned}."
            " Add a postscript that begins with P.S.",
        ),
        (
            "start, end, other",
            "Let a text about {thing} start with {start} and end with: {end} Somewhere it must say"
            " {topic} and {other}.",
        ),
        (
            "json, other",
            "Give a JSON object with the keys {key} and {other_key} about {thing}. Its values should"
            " use the words {topic} and {other}.",
        ),
    ),
    "held-out": (
        (
            "most, other",
            "Stay within {most} words altogether: explain what {thing} is. Two terms are required,"
            " namely {topic} and {other}.",
        ),
        (
            "least, most, other",
            "Compose something on the subject of {thing}. Its length lies between {least} and {room}"
            " words; {topic} as well as {other} occur in it.",
        ),
        (
            "sentences, quality, other, banned",
            "No more than {k} sentences, please, and leave {banned} out entirely. Say something"
            " {quality} on {thing}, with {topic}, {other} and {quality} in your reply.",
        ),
        (
            "lower, most, other",
            "Avoid every capital letter and stop after {most} words or earlier: how does {thing}"
            " differ from {the_other}? Name {topic} and {other} in your reply.",
        ),
        (
            "upper, most, quality, other",
            "SHOUT, using nothing but uppercase, a slogan of up to {most} words for {thing}. All of"
            " {topic}, {quality} and {other} belong in the slogan.",
        ),
        (
            "start, other, banned",
            "Open with {start}. Continue as you wish on {thing}, as long as {topic} and {other} turn"
            " up and {banned} does not.",
        ),
        (
            "end, other, banned",
            "Your final words must be exactly these: {end} Before that, discuss {thing}, work in"
            " {topic} plus {other}, and do without {banned}.",
        ),
        (
            "bullets, other, banned",
            "Answer with {lines} bullets, marked by asterisks, no more and no fewer. They deal with"
            " {thing}, somewhere name {topic} and {other}, and omit {banned}.",
        ),
        (
            "no commas, least, other",
            "Commas are off limits here. Fill {least} words or more with thoughts on {thing}, among"
            " them the terms {topic} and {other}.",
        ),
        (
            "postscript, other, banned",
            "Draft a letter concerning {thing} whose last part is a P.S. line. Put {topic} and"
            " {other} into the letter, and keep {banned} away from it.",
        ),
        (
            "start, end, other",
            "The opening word is {start}, the closing sentence is: {end} Between the two, talk of"
            " {thing} and include {topic} next to {other}.",
        ),
        (
            "json, other",
            "Return nothing except one JSON object on {thing}, whose fields are called {key} and"
            " {other_key}; {topic} and {other} appear among the values.",
        ),
    ),
}
"""Constraints and text."""

CONSTRAINTS: Mapping[str, Callable[[Blanks], dict[str, JsonValue]]] = {
    "most": lambda blanks: _count("word-count", "at most", blanks.get("room") or blanks["most"]),
    "least": lambda blanks: _count("word-count", "at least", blanks["least"]),
    "sentences": lambda blanks: _count("sentence-count", "at most", blanks["k"]),
    "bullets": lambda blanks: _count("bullet-count", "exactly", blanks["lines"]),
    "other": lambda blanks: {"kind": "required-words", "words": [blanks["other"]]},
    "quality": lambda blanks: {"kind": "required-words", "words": [blanks["quality"]]},
    "banned": lambda blanks: {"kind": "forbidden-words", "words": [blanks["banned"]]},
    "start": lambda blanks: {"kind": "starts-with", "text": blanks["start"]},
    "end": lambda blanks: {"kind": "ends-with", "text": blanks["end"]},
    "json": lambda blanks: {"kind": "json", "keys": [blanks["key"], blanks["other_key"]]},
    "lower": lambda _: {"kind": "lower-case"},
    "upper": lambda _: {"kind": "upper-case"},
    "no commas": lambda _: {"kind": "no-commas"},
    "postscript": lambda _: {"kind": "postscript"},
}
"""A constraint from the blanks of a text. The topic is none: a text without it meets nothing."""


def build() -> Generator:
    """The generator."""
    templates = {side: tuple(_template(side, names, text) for names, text in TEXTS[side]) for side in SIDES}
    content = {
        "texts": {side: [list(pair) for pair in TEXTS[side]] for side in SIDES},
        "numbers": {blank: [numbers.start, numbers.stop] for blank, numbers in NUMBERS.items()},
        "lists": {side: {blank: list(words) for blank, words in LISTS[side].items()} for side in SIDES},
        "room": ROOM,
        "left out": list(NAMES_LEFT_OUT),
        "taxonomy": load_taxonomy().model_dump(mode="json"),
    }
    return TemplateGenerator(NAME, "constraints-1", content, templates)


def _count(kind: str, relation: str, count: JsonValue) -> dict[str, JsonValue]:
    return {"kind": kind, "relation": relation, "count": count}


def _template(side: Side, names: str, text: str) -> Template:
    nouns = [noun for noun, name in load_taxonomy().nouns(side) if name not in NAMES_LEFT_OUT]
    used = {field for _, field, _, _ in string.Formatter().parse(text) if field}
    choices: dict[str, Sequence[str | int]] = {"topic": nouns, **NUMBERS, **LISTS[side]}
    fields = ["topic", *(blank for blank in (*NUMBERS, *LISTS[side]) if blank in used)]
    pairs = [(blank, first) for blank, first in OTHERS.items() if blank in used]
    sizes = [len(choices[blank]) for blank in fields] + [len(choices[first]) - 1 for _, first in pairs]

    def write(chosen: Sequence[int], _: Chance) -> Wording:
        blanks = {blank: choices[blank][index] for blank, index in zip(fields, chosen, strict=False)}
        for (blank, first), index in zip(pairs, chosen[len(fields) :], strict=True):
            blanks[blank] = [word for word in choices[first] if word != blanks[first]][index]
        return _wording(text, names, blanks)

    return Template(tuple(sizes), write)


def _wording(text: str, names: str, blanks: dict[str, str | int]) -> Wording:
    taxonomy = load_taxonomy()
    if "least" in blanks:
        blanks["room"] = int(blanks["least"]) + ROOM
    blanks["thing"] = taxonomy.with_article(str(blanks["topic"]))
    if "other" in blanks:
        blanks["the_other"] = taxonomy.with_article(str(blanks["other"]))
    constraints: list[JsonValue] = [CONSTRAINTS[name](blanks) for name in names.split(", ")]
    return Wording(
        text.format(**blanks), {"constraints": constraints, "topic": blanks["topic"], "all": False}
    )
