"""Words of the word problems, by side: no name, place or thing of a public prompt is in a held-out one.

Countable things are plurals. Days and months are the calendar's, so both sides have them.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.competitions.generators.generator import Side

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = {
    "January": 31,
    "March": 31,
    "April": 30,
    "May": 31,
    "June": 30,
    "July": 31,
    "August": 31,
    "September": 30,
    "October": 31,
    "November": 30,
    "December": 31,
}
"""Days of the months that have the same number every year."""


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


NAMES: Mapping[Side, tuple[str, ...]] = {
    "public": _split(
        "Ada Ben Clara Dan Ella Felix Grace Henry Ivy Jack Karen Leo Mia Noah Olga Paul"
        " Rita Sam Tina Victor Wendy Zoe Martin Nina"
        " Anton Betty Cyril Dora Edgar Frida Gilbert Holly Igor Judith Klaus Lydia Miriam Ned Otis Polly"
    ),
    "held-out": _split(
        "Adam Bella Carl Diana Emil Fiona Georg Hanna Ian Julia Kurt Laura Max Nora Oscar"
        " Petra Quinn Rosa Simon Thea Ursula Vera Walter Yara"
        " Alma Boris Celia Derek Edith Frank Gloria Hugo Irma Jonas Kim Lars Megan Nils Ophelia Philip"
    ),
}

PLACES: Mapping[Side, tuple[str, ...]] = {
    "public": _split(
        "park kitchen garden attic market garage office classroom stadium harbor bakery"
        " bookshop cellar playground clinic hallway"
        " pharmacy terrace chapel barn lounge aquarium nursery depot"
    ),
    "held-out": _split(
        "forest workshop museum courtyard library station orchard gym cafeteria theater"
        " laundry campsite greenhouse studio village lobby"
        " balcony bank court dairy pavilion shelter tavern yard"
    ),
}

THINGS: Mapping[Side, tuple[str, ...]] = {
    "public": _split(
        "marbles stamps pencils buttons shells coins apples cookies balloons stickers cards"
        " ribbons candles magnets spoons beads postcards flags keys bottles crayons eggs"
    ),
    "held-out": _split(
        "pebbles badges erasers corks feathers tokens pears muffins kites posters dominoes"
        " bracelets lamps whistles forks tiles letters tickets bolts jars brushes acorns"
    ),
}

EVENTS: Mapping[Side, tuple[str, ...]] = {
    "public": _split(
        "concert picnic race exam wedding meeting sale lecture trip tournament film visit"
        " rehearsal auction dinner inspection"
        " breakfast contest debate premiere quiz seance vote tasting"
    ),
    "held-out": _split(
        "festival hike regatta interview parade audition fair seminar excursion match play"
        " reunion recital election banquet ceremony"
        " ballet briefing jubilee marathon opening raffle session tour"
    ),
}
