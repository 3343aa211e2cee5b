"""Conversions: the gold is what a table of units gives for the amounts in the text."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.registry import find_generator
from shared.judging.verifiers.registry import verify
from shared.protocol.wire import sha256_digest
from shared.types import SliceName

TABLE = {
    "kilometers": 1_000_000, "meters": 1000, "centimeters": 10, "millimeters": 1,
    "kilograms": 1000, "grams": 1, "liters": 1000, "milliliters": 1,
    "weeks": 604_800, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1,
}  # fmt: skip
OTHERS = {
    "yards": 36, "feet": 12, "inches": 1, "pounds": 16, "ounces": 1, "gallons": 8, "quarts": 2, "pints": 1,
    "years": 12, "months": 1,
}  # fmt: skip
SIZES = {**TABLE, **OTHERS}
"""Each unit as a multiple of the smallest of its kind."""


@pytest.mark.parametrize("side", SIDES)
def test_the_gold_follows_from_the_text(side: Side) -> None:
    for prompt in find_generator("units-1").make(sha256_digest(b"units"), SliceName("units"), 800, side):
        words = re.findall(r"\w+", prompt.text)
        amounts = [(int(word), unit) for word, unit in itertools.pairwise(words) if word.isdigit()]
        asked = {word for word in words if word in SIZES} - {unit for _, unit in amounts}
        unit = asked.pop() if asked else min((unit for _, unit in amounts), key=lambda unit: SIZES[unit])
        total = Fraction(sum(count * SIZES[each] for count, each in amounts), SIZES[unit])
        assert total.denominator == 1
        assert prompt.params == {"answer": str(total)}
        assert verify("exact-answer-3", f"It is {total} {unit}.", prompt.params) == 1.0
        assert verify("exact-answer-3", f"It is {total + 1} {unit}.", prompt.params) == 0.0
