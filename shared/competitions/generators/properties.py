"""`properties-1`: which of four things has a property, such as being able to fly.

The properties are few and safe. A whole category has it; the three others come from categories of which no
member does, and which have other properties. A property and the noun that has it, under one template, is an
instance. Scored by `choice-1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shared.competitions.generators.chance import Chance
from shared.competitions.generators.generator import (
    SIDES,
    Generator,
    Side,
    Template,
    TemplateGenerator,
    Wording,
)
from shared.competitions.generators.options import OPTIONS, balance_odds, pick_wrong
from shared.competitions.generators.taxonomy import list_options, load_taxonomy

NAME = "properties-1"


class Property(NamedTuple):
    """What all members of some categories can do or have."""

    phrase: str
    having: tuple[str, ...]
    unsure: tuple[str, ...] = ()
    """Categories of which some member may have it, or a reader may think so: no options."""
    but: tuple[str, ...] = ()
    """Nouns of `having` that are left out."""


CLOTHING, INSTRUMENT = "piece of clothing", "musical instrument"

PROPERTIES = (
    Property("can fly", ("bird",), ("insect", "vehicle", "job", "weapon"), but=("penguin", "ostrich")),
    Property(
        "can be eaten by people",
        ("fruit", "vegetable"),
        ("mammal", "bird", "fish", "reptile", "insect", "flower", "drink", "tree"),
    ),
    Property("can be drunk from a glass", ("drink",), ("fruit", "vegetable")),
    Property(
        "can be worn on the body", (CLOTHING,), ("gemstone", "fabric", "metal", "flower", "weapon", "mammal")
    ),
    Property("is made for playing music", (INSTRUMENT,), ("metal", "tool")),
    Property("is built to carry people from place to place", ("vehicle",), ("mammal", "building")),
    Property(
        "breathes air",
        ("mammal", "reptile"),
        ("bird", "insect", "fish", "tree", "flower", "vegetable", "fruit", "job", INSTRUMENT, "fabric"),
    ),
    Property("has branches and roots", ("tree",), ("flower", "vegetable", "fruit", "building")),
    Property("has petals", ("flower",), ("tree", "fruit", "vegetable", "vehicle", INSTRUMENT, "drink")),
    Property("swims and has gills", ("fish",), ("insect",)),
    Property("has six legs", ("insect",)),
    Property("can speak a language", ("job",), ("bird", "mammal")),
    Property("has a roof, walls and a door", ("building",), ("vehicle",)),
    Property("is made to hurt an enemy", ("weapon",), ("tool", "vehicle", "metal")),
    Property("is cut, polished and set into a ring", ("gemstone",), ("metal",)),
    Property(
        "can be melted and poured into a mold",
        ("metal",),
        (
            *("gemstone", "weapon", "tool", "vehicle", "drink", "fruit", "vegetable", "fabric", "building"),
            *(INSTRUMENT, CLOTHING),
        ),
    ),
    Property(
        "is used to dig, cut, hit or turn things",
        ("tool",),
        ("vehicle", "weapon", "metal", "gemstone", "job", INSTRUMENT),
    ),
    Property("is sewn into shirts and sheets", ("fabric",), (CLOTHING, "mammal")),
)

ASKED = tuple(dict.fromkeys(name for entry in PROPERTIES for name in entry.having))
"""Categories of the options: each of them has some property, so none is always wrong."""

TEXTS: Mapping[Side, tuple[str, ...]] = {
    "public": (
        "Which of these {phrase}: {options}? Answer in one short sentence that begins with It is.",
        "Only one of these {phrase}: {options}. Which one is it? Use a short sentence.",
        "Tell me what {phrase}. Your choices are {options}. Say: It is ...",
        "I am looking for something that {phrase}. Is it {options}? Reply in one sentence.",
        "What {phrase}: is it {options}? Use one sentence.",
        "From {options}, pick the one that {phrase}, and write what it is in a sentence.",
        "Quiz question: this thing {phrase}. It is one of these: {options}. Write a full sentence.",
    ),
    "held-out": (
        "Consider {options}. Name whichever {phrase}; your brief sentence should open with 'The answer is'.",
        "Three of the following are wrong answers and one {phrase}. Find it and state briefly"
        " what it is: {options}.",
        "A child wonders who or what {phrase} and points at {options}. Give the child a brief"
        " answer like 'That is ...'.",
        "Suppose that you see {options}. State which among them {phrase}, ending your sentence"
        " with its name.",
        "Finish the sentence 'What {phrase} is ...' with a word from this list: {options}. Repeat all of it.",
        "Given the four entries {options}, finish 'The entry that {phrase} is' and write the whole sentence.",
        "Whoever reads '{phrase}' on a riddle card has to find the solution among {options}."
        " Begin with 'The solution is'.",
    ),
}


def build() -> Generator:
    """The generator."""
    templates = {side: tuple(_template(side, text) for text in TEXTS[side]) for side in SIDES}
    content = {
        "texts": {side: list(TEXTS[side]) for side in SIDES},
        "properties": [[entry.phrase, *map(list, entry[1:])] for entry in PROPERTIES],
        "taxonomy": load_taxonomy().model_dump(mode="json"),
        "options": OPTIONS,
    }
    return TemplateGenerator(NAME, "choice-1", content, templates)


def lacking(entry: Property) -> tuple[str, ...]:
    """Categories of which no member has the property."""
    return tuple(name for name in ASKED if name not in (*entry.having, *entry.unsure))


def _template(side: Side, text: str) -> Template:
    taxonomy = load_taxonomy()
    pairs = [
        (entry, name, noun)
        for entry in PROPERTIES
        for name in entry.having
        for noun in taxonomy.categories[name].nouns.of(side)
        if noun not in entry.but
    ]

    odds = balance_odds([(name, lacking(entry)) for entry, name, _ in pairs])

    def write(fields: Sequence[int], chance: Chance) -> Wording:
        entry, _, answer = pairs[fields[0]]
        names = pick_wrong(chance, lacking(entry), odds)
        wrong = [chance.pick(taxonomy.categories[name].nouns.of(side)) for name in names]
        options = chance.shuffle([answer, *wrong])
        listed = list_options(tuple(taxonomy.with_article(option) for option in options))
        return Wording(
            text.format(phrase=entry.phrase, options=listed), {"options": list(options), "answer": answer}
        )

    return Template((len(pairs),), write)
