"""`units-1`: conversions between two units, all of them exact.

Down (3 meters in centimeters), up (300 centimeters in meters) and mixed (3 meters and 20 centimeters in
centimeters). The answer is a positive whole number, scored by `exact-answer-3`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.competitions.generators.blanks import Case, fill_blanks
from shared.competitions.generators.generator import SIDES, Generator, Side, TemplateGenerator
from shared.competitions.generators.words import DAYS, NAMES, PLACES

NAME = "units-1"

UNITS: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    "length": (
        ("kilometers", "meters", 1000),
        ("meters", "centimeters", 100),
        ("centimeters", "millimeters", 10),
        ("yards", "feet", 3),
        ("feet", "inches", 12),
    ),
    "weight": (("kilograms", "grams", 1000), ("pounds", "ounces", 16)),
    "volume": (("liters", "milliliters", 1000), ("gallons", "quarts", 4), ("quarts", "pints", 2)),
    "time": (
        ("hours", "minutes", 60),
        ("minutes", "seconds", 60),
        ("days", "hours", 24),
        ("weeks", "days", 7),
        ("years", "months", 12),
    ),
}
"""Larger unit, smaller unit, and how many of the smaller make one of the larger."""

MOST = 40
"""Most of the larger unit; 2 is the least."""
MOST_REST = 50
"""The rest of a mixed amount stays below it, and below one of the larger unit; 2 is the least."""

STUFF: Mapping[Side, Mapping[str, tuple[str, ...]]] = {
    "public": {
        "length": ("rope", "ribbon", "fence", "cable", "shelf", "carpet", "hose", "banner"),
        "weight": ("flour", "sand", "rice", "clay", "sugar", "gravel", "coal", "barley"),
        "volume": ("water", "paint", "soup", "oil", "syrup", "vinegar", "ink", "broth"),
        "time": ("repair", "rehearsal", "lesson", "voyage", "test", "holiday", "course", "walk"),
    },
    "held-out": {
        "length": ("chain", "curtain", "plank", "pipe", "thread", "ladder", "hedge", "track"),
        "weight": ("salt", "cement", "wheat", "soil", "corn", "plaster", "oats", "seed"),
        "volume": ("juice", "fuel", "milk", "glue", "tea", "shampoo", "bleach", "sauce"),
        "time": ("journey", "training", "experiment", "restoration", "campaign", "study", "survey", "drill"),
    },
}

TEXTS: Mapping[Side, tuple[tuple[str, str, str], ...]] = {
    "public": (
        (
            "length",
            "down",
            "{name} laid a {stuff} of {n} {big} in the {place} on {day}, and {friend} measured it"
            " again in {small}. What did {friend} write down?",
        ),
        (
            "length",
            "mixed",
            "The {stuff} that {name} showed {friend} in the {place} is {n} {big} and {m} {small}"
            " long. How many {small} is that?",
        ),
        (
            "weight",
            "down",
            "{name} brought {n} {big} of {stuff} to the {place} for {friend} on {day}. How many"
            " {small} of {stuff} is that?",
        ),
        (
            "weight",
            "mixed",
            "A sack in the {place} holds {n} {big} and {m} {small} of {stuff}, which {name} sold to"
            " {friend}. How much is it in {small}?",
        ),
        (
            "volume",
            "up",
            "On {day} {name} and {friend} poured {t} {small} of {stuff} into a tank in the {place}."
            " How many {big} are in the tank?",
        ),
        (
            "volume",
            "mixed",
            "{friend} needs {n} {big} and {m} {small} of {stuff} in the {place}. How many {small}"
            " should {name} order?",
        ),
        (
            "time",
            "down",
            "On {day} {name} told {friend} that the {stuff} in the {place} took {n} {big}. How many"
            " {small} did it take?",
        ),
        (
            "time",
            "up",
            "The {stuff} that {name} and {friend} planned in the {place} will last {t} {small} from"
            " {day} on. How many {big} is that?",
        ),
    ),
    "held-out": (
        (
            "length",
            "up",
            "Give the size in {big}: according to {name}, a {stuff} measuring {t} {small} was"
            " delivered to {friend} at the {place} last {day}.",
        ),
        (
            "length",
            "mixed",
            "To mend a {stuff} near the {place}, {friend} asks {name} for a piece of {n} {big} plus"
            " {m} {small}. Express this length in {small} only.",
        ),
        (
            "weight",
            "up",
            "If {t} {small} of {stuff} are sent from {name} to {friend}, and the {place} bills by"
            " {big}, for how many {big} does it charge on {day}?",
        ),
        (
            "weight",
            "mixed",
            "Convert to {small}: the load of {stuff}, {n} {big} with another {m} {small} on top,"
            " that {friend} and {name} left at the {place}.",
        ),
        (
            "volume",
            "down",
            "{n} {big} of {stuff} were ordered by {name} last {day}. Into how many {small} can"
            " {friend} divide them at the {place}?",
        ),
        (
            "volume",
            "mixed",
            "Someone spilled {stuff} at the {place}: {m} {small} in addition to the {n} {big} lost"
            " by {name} earlier. State {friend}'s total loss in {small}.",
        ),
        (
            "time",
            "up",
            "A clock at the {place} ran for {t} {small} during the {stuff} led by {friend}. Say for"
            " {name} what this makes in {big}, counted since {day}.",
        ),
        (
            "time",
            "mixed",
            "Until the {stuff} of {name} and {friend} is over, the {place} stays closed for {n}"
            " {big} and a further {m} {small}. Write the time in {small}.",
        ),
    ),
}
"""Quantity, direction and text: {n} of {big} and {m} of {small}, or {t} of {small}."""


def build() -> Generator:
    """The generator."""
    templates = {
        side: tuple(
            fill_blanks(text, tuple(_cases(quantity, direction)), side, {"stuff": STUFF[side][quantity]})
            for quantity, direction, text in TEXTS[side]
        )
        for side in SIDES
    }
    content = {
        "texts": {side: [list(text) for text in TEXTS[side]] for side in SIDES},
        "units": {quantity: [list(units) for units in UNITS[quantity]] for quantity in UNITS},
        "stuff": {side: {quantity: list(words) for quantity, words in STUFF[side].items()} for side in SIDES},
        "words": {side: [list(words[side]) for words in (NAMES, PLACES)] for side in SIDES},
        "days": list(DAYS),
        "most": [MOST, MOST_REST],
    }
    return TemplateGenerator(NAME, "exact-answer-3", content, templates)


def _cases(quantity: str, direction: str) -> Iterator[Case]:
    for big, small, factor in UNITS[quantity]:
        for count in range(2, MOST + 1):
            total = count * factor
            blanks: dict[str, int | str] = {"big": big, "small": small, "n": count, "t": total}
            if direction == "mixed":
                for rest in range(2, min(MOST_REST, factor)):
                    yield Case({**blanks, "m": rest}, {"answer": str(total + rest)})
            else:
                yield Case(blanks, {"answer": str(count if direction == "up" else total)})
