"""`dates-1`: days from one date to another, days left in a month, and leap years.

The answer is a whole number, scored by `exact-answer-3`. Weekdays are in `weekdays.py`: they have another
verifier. Years lie in 1908..2092, where every fourth year is a leap year.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from shared.competitions.generators.blanks import Case, fill_blanks
from shared.competitions.generators.generator import SIDES, Generator, Side, TemplateGenerator
from shared.competitions.generators.words import EVENTS, MONTHS, NAMES, PLACES

NAME = "dates-1"

YEARS = tuple(sorted({*range(1908, 2093, 4), *(leap + 1 + leap // 4 % 3 for leap in range(1908, 2089, 4))}))
"""About as many leap years as others."""

TEXTS: Mapping[Side, tuple[tuple[str, str], ...]] = {
    "public": (
        (
            "between",
            "{name} planned the {event} in the {place} for {month} {a}, but {friend} moved it to"
            " {month} {b}. By how many days was it moved?",
        ),
        (
            "between",
            "From {month} {a} to {month} {b}, {name} and {friend} wait for the {event} in the"
            " {place}. How many days after the first date is the second?",
        ),
        (
            "left",
            "{name} told {friend} about the {event} in the {place} on {month} {a}. How many days of"
            " {month} come after that date?",
        ),
        (
            "left",
            "The {event} in the {place}, which {name} and {friend} attended, was on {month} {a}."
            " How many days later is the last day of {month}?",
        ),
        (
            "across",
            "In {year} {name} met {friend} in the {place} on February {a} and again at the {event}"
            " on March {b}. How many days later was that?",
        ),
        (
            "across",
            "{name} and {friend} lock the {place} on February {a}, {year}, and open it for the"
            " {event} on March {b}. How many days after the locking is the opening?",
        ),
        (
            "next",
            "{name} and {friend} held the {event} in the {place} in {year}. What is the first leap"
            " year after {year}?",
        ),
        (
            "last",
            "{friend} and {name} closed the {place} soon after the {event} of {year}. Which leap"
            " year was the last one before {year}?",
        ),
    ),
    "held-out": (
        (
            "between",
            "Counting starts at zero on {month} {a}, when {friend} closes the {place}; which number"
            " is reached on {month} {b}, the date of {name}'s {event}?",
        ),
        (
            "between",
            "A ticket for the {event}, bought by {name} at the {place} on {month} {a}, is used by"
            " {friend} on {month} {b}. State the age of the ticket in days.",
        ),
        (
            "left",
            "Suppose today is {month} {a} and {name} leaves the {place} for {friend}'s {event}."
            " Work out the number of days that still follow this month.",
        ),
        (
            "left",
            "Subtract: {month} has its full length, and {a} of its days are gone at the {place} of"
            " {name} and {friend} before the {event}. What number remains?",
        ),
        (
            "across",
            "Consider the year {year}: {friend} bought the {place} on February {a} and hosted"
            " {name}'s {event} there on March {b}. Give the difference of both dates in days.",
        ),
        (
            "across",
            "If a lamp at the {place} is lit by {name} on February {a} of {year} and goes out at"
            " {friend}'s {event} on March {b}, what number of days does it burn?",
        ),
        (
            "next",
            "Leap years matter to {friend}, whose {event} at the {place} took place in {year}. Name"
            " for {name} the soonest one that follows this year.",
        ),
        (
            "last",
            "Walk backward in time from {year}, when {name} rented the {place} for {friend}'s"
            " {event}, to the nearest earlier leap year. Tell where you stop.",
        ),
    ),
}


def build() -> Generator:
    """The generator."""
    templates = {
        side: tuple(
            fill_blanks(text, tuple(CASES[kind]()), side, {"event": EVENTS[side]})
            for kind, text in TEXTS[side]
        )
        for side in SIDES
    }
    content = {
        "texts": {side: [list(text) for text in TEXTS[side]] for side in SIDES},
        "words": {side: [list(words[side]) for words in (NAMES, PLACES, EVENTS)] for side in SIDES},
        "months": dict(MONTHS),
        "years": list(YEARS),
    }
    return TemplateGenerator(NAME, "exact-answer-3", content, templates)


def _between() -> Iterator[Case]:
    for month, days in MONTHS.items():
        for first in range(1, days):
            for second in range(first + 1, days + 1):
                yield Case({"month": month, "a": first, "b": second}, {"answer": str(second - first)})


def _left() -> Iterator[Case]:
    for month, days in MONTHS.items():
        for day in range(1, days):
            yield Case({"month": month, "a": day}, {"answer": str(days - day)})


def _across() -> Iterator[Case]:
    for year in YEARS:
        for first in range(1, 29):
            for second in range(1, 32):
                days = (28 if year % 4 else 29) - first + second
                yield Case({"year": year, "a": first, "b": second}, {"answer": str(days)})


def _next() -> Iterator[Case]:
    for year in YEARS:
        yield Case({"year": year}, {"answer": str(year + 4 - year % 4)})


def _last() -> Iterator[Case]:
    for year in YEARS:
        yield Case({"year": year}, {"answer": str(year - 1 - (year - 1) % 4)})


CASES: Mapping[str, Callable[[], Iterator[Case]]] = {
    "between": _between,
    "left": _left,
    "across": _across,
    "next": _next,
    "last": _last,
}
