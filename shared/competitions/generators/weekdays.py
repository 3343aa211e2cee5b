"""`weekdays-1`: the weekday some days after or before a named one.

The answer is one of the six other weekdays, scored by `choice-1`, so an answer may repeat the named one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from shared.competitions.generators.blanks import Case, fill_blanks
from shared.competitions.generators.generator import SIDES, Generator, Side, TemplateGenerator
from shared.competitions.generators.words import DAYS, EVENTS, NAMES, PLACES

NAME = "weekdays-1"

MOST = 40
"""Most days; whole weeks are left out, and 2 is the least."""

TEXTS: Mapping[Side, tuple[tuple[str, str], ...]] = {
    "public": (
        (
            "after",
            "The {event} of {name} and {friend} in the {place} is {n} days after a {start}. On"
            " which day of the week is it?",
        ),
        (
            "after",
            "Today is {start}. In {n} days {name} and {friend} meet at the {event} in the {place}."
            " What day of the week will that be?",
        ),
        (
            "before",
            "{name} and {friend} came back to the {place} on a {start}, {n} days after the {event}."
            " Which weekday was the {event}?",
        ),
        (
            "after",
            "{name} sent {friend} a letter from the {place} on a {start}, and the {event} took"
            " place {n} days later. What weekday was that?",
        ),
        (
            "before",
            "Today is {start}, and {name} and {friend} left the {place} {n} days ago for the"
            " {event}. Which day of the week was it then?",
        ),
        (
            "after",
            "If {name} starts work in the {place} on a {start}, and {friend} joins for the {event}"
            " after {n} days, on which weekday does {friend} join?",
        ),
    ),
    "held-out": (
        (
            "after",
            "Starting from a {start}, count {n} days forward: you reach the {event} that {friend}"
            " prepares with {name} at the {place}. Name the weekday.",
        ),
        (
            "after",
            "A {start} saw {name} open the {place}; exactly {n} days had passed when {friend}'s"
            " {event} began. Tell me which weekday it began on.",
        ),
        (
            "before",
            "Exactly {n} days earlier than this {start}, the {place} held an evening for {name} and"
            " {friend}'s {event}. Say which weekday that evening fell on.",
        ),
        (
            "before",
            "Go back {n} days from {start}, when {friend} phoned {name} at the {place} about the"
            " {event}. State the weekday you arrive at.",
        ),
        (
            "after",
            "Parcels to the {place} need {n} days. One for {name}'s {event} is mailed by {friend}"
            " this {start}; give the weekday of its arrival.",
        ),
        (
            "before",
            "The rent of the {place} is due {n} days ahead of the {event}, a {start}, as {friend}"
            " reminds {name}. Find the weekday when it is due.",
        ),
    ),
}


def build() -> Generator:
    """The generator."""
    templates = {
        side: tuple(
            fill_blanks(text, tuple(_cases(direction)), side, {"event": EVENTS[side]})
            for direction, text in TEXTS[side]
        )
        for side in SIDES
    }
    content = {
        "texts": {side: [list(text) for text in TEXTS[side]] for side in SIDES},
        "words": {side: [list(words[side]) for words in (NAMES, PLACES, EVENTS)] for side in SIDES},
        "days": list(DAYS),
        "most": MOST,
    }
    return TemplateGenerator(NAME, "choice-1", content, templates)


def _cases(direction: str) -> Iterator[Case]:
    for number, start in enumerate(DAYS):
        for days in range(2, MOST + 1):
            answer = DAYS[(number + (days if direction == "after" else -days)) % len(DAYS)]
            if answer != start:
                options: list[JsonValue] = [day for day in DAYS if day != start]
                yield Case({"start": start, "n": days}, {"options": options, "answer": answer})
