"""Word problems: the gold is what the numbers of the text give."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.registry import find_generator
from shared.judging.verifiers.registry import verify
from shared.protocol.wire import sha256_digest
from shared.types import SliceName

SOLUTIONS: dict[Side, list[Callable[..., float]]] = {
    "public": [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b, c: a + b - c,
        lambda a, b, c: a - b + c,
        lambda a, b, c: a * b + c,
        lambda a, b, c: a + b + c,
    ],
    "held-out": [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b, c: a + b - c,
        lambda a, b, c: a - b + c,
        lambda a, b, c: a * b - c,
        lambda a, b, c: a + b + c,
    ],
}
"""By template, from the numbers in the order of the text: written from the texts, not from the generator."""


@pytest.mark.parametrize("side", SIDES)
def test_the_gold_follows_from_the_text(side: Side) -> None:
    for prompt in find_generator("arithmetic-1").make(sha256_digest(b"sums"), SliceName("sums"), 800, side):
        numbers = [int(number) for number in re.findall(r"\d+", prompt.text)]
        solution = SOLUTIONS[side][int(prompt.cluster[-2:])](*numbers)
        assert solution == int(solution) > 0
        assert prompt.params == {"answer": str(int(solution))}
        assert verify("exact-answer-3", f"That makes {int(solution)} in all.", prompt.params) == 1.0
        assert verify("exact-answer-3", f"That makes {int(solution) + 1} in all.", prompt.params) == 0.0
