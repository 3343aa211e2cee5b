"""`arithmetic-1`: short word problems of one or two steps with small whole numbers.

The answer is a positive whole number, scored by `exact-answer-3`. Every number of the text is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from shared.competitions.generators.blanks import Case, fill_blanks
from shared.competitions.generators.generator import SIDES, Generator, Side, TemplateGenerator
from shared.competitions.generators.words import DAYS, NAMES, PLACES, THINGS

NAME = "arithmetic-1"


class Steps(NamedTuple):
    """A calculation, and the numbers that it is done with."""

    ranges: tuple[range, ...]
    numbers: Callable[..., tuple[int, ...]]
    """Numbers of the text, then the answer. Other arguments give other numbers of the text."""


STEPS: Mapping[str, Steps] = {
    "add": Steps((range(2, 21), range(2, 21)), lambda x, y: (x, y, x + y)),
    "take": Steps((range(2, 16), range(2, 16)), lambda x, y: (x + y, x, y)),
    "times": Steps((range(2, 10), range(2, 10)), lambda x, y: (x, y, x * y)),
    "share": Steps((range(2, 10), range(2, 10)), lambda x, y: (x * y, x, y)),
    "add add": Steps((range(2, 13),) * 3, lambda x, y, z: (x, y, z, x + y + z)),
    "add take": Steps((range(4, 16), range(2, 11), range(2, 6)), lambda x, y, z: (x, y, z, x + y - z)),
    "take add": Steps((range(8, 21), range(2, 7), range(2, 11)), lambda x, y, z: (x, y, z, x - y + z)),
    "times add": Steps((range(2, 7), range(2, 10), range(2, 10)), lambda x, y, z: (x, y, z, x * y + z)),
    "times take": Steps((range(3, 7), range(3, 10), range(2, 7)), lambda x, y, z: (x, y, z, x * y - z)),
}
"""Calculations by name; a text has their numbers as {a}, {b} and {c}."""

TEXTS: Mapping[Side, tuple[tuple[str, str], ...]] = {
    "public": (
        (
            "add",
            "On {day}, {name} found {a} {things} in the {place} and {friend} found {b}. How many {things} did"
            " they find together?",
        ),
        (
            "take",
            "{name} had {a} {things} in the {place} and gave {b} of them to {friend} on {day}. How many"
            " {things} does {name} still have?",
        ),
        (
            "times",
            "{friend} asked {name} to fill {a} boxes in the {place} by {day}. If each box gets {b} {things},"
            " how many {things} are needed?",
        ),
        (
            "share",
            "In the {place}, {name} and {friend} put {a} {things} into {b} equal piles on {day}. How many"
            " {things} are in one pile?",
        ),
        (
            "add take",
            "{name} bought {a} {things} and got {b} more from {friend}. Then {c} of the {things} got lost in"
            " the {place}. How many are left?",
        ),
        (
            "take add",
            "There were {a} {things} in the {place}. {name} took {b} away, and {friend} brought {c}. How many"
            " {things} are there now?",
        ),
        (
            "times add",
            "{name} carried {a} bags of {b} {things} to the {place}, where {friend} added {c} single ones."
            " What is the total number of {things}?",
        ),
        (
            "add add",
            "{name} counted {things} in the {place}: {a} on {day}, {b} on the next day and {c} on the day"
            " after that. How many {things} is that?",
        ),
    ),
    "held-out": (
        (
            "add",
            "A shelf in the {place} holds {a} {things} of {name} and {b} {things} of {friend}. Since {day}"
            " nobody has touched it. Count all of the {things}.",
        ),
        (
            "take",
            "Of the {a} {things} that {name} kept for {friend}, {b} broke when the {place} was cleaned on"
            " {day}. What number of {things} stayed whole?",
        ),
        (
            "times",
            "Every visitor to the {place} receives {a} {things} from {name}. How many {things} will {b}"
            " visitors, counted by {friend} on {day}, receive?",
        ),
        (
            "share",
            "{a} {things} fit exactly into {b} drawers that {name} built for {friend}, the same number in"
            " each, as the {place} noted on {day}. What does one drawer contain?",
        ),
        (
            "add take",
            "First {friend} lends {a} {things} to {name}; later {b} others arrive by mail. After {c} go back"
            " to the {place}, what is the number of {things} that remain?",
        ),
        (
            "take add",
            "The {place} owned {a} {things}, sold {b} to {name}, and afterwards received {c} as a gift of"
            " {friend}. What is its stock of {things} today?",
        ),
        (
            "times take",
            "With {b} {things} in a row, {name} laid {a} rows across the {place}. Sadly {c} were stolen, says"
            " {friend}. Work out how many {things} can be seen.",
        ),
        (
            "add add",
            "Three tables stand in the {place}, set by {name} for {friend} with {a}, {b} and {c} {things}."
            " Give the sum of the {things} on the tables.",
        ),
    ),
}


def build() -> Generator:
    """The generator."""
    templates = {
        side: tuple(
            fill_blanks(text, _cases(steps), side, {"things": THINGS[side]}) for steps, text in TEXTS[side]
        )
        for side in SIDES
    }
    words = {side: [list(words[side]) for words in (NAMES, PLACES, THINGS)] for side in SIDES}
    texts = {side: [list(pair) for pair in TEXTS[side]] for side in SIDES}
    ranges = {name: [[part.start, part.stop] for part in steps.ranges] for name, steps in STEPS.items()}
    content = {"texts": texts, "words": words, "days": list(DAYS), "ranges": ranges}
    return TemplateGenerator(NAME, "exact-answer-3", content, templates)


def _cases(name: str) -> tuple[Case, ...]:
    steps = STEPS[name]
    found = []
    for chosen in itertools.product(*steps.ranges):
        *numbers, answer = steps.numbers(*chosen)
        found.append(Case(dict(zip("abc", numbers, strict=False)), {"answer": str(answer)}))
    return tuple(found)
