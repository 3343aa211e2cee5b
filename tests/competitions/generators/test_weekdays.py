"""Weekdays: the gold is what Python's calendar gives, and no answer is right more often than others."""

from __future__ import annotations

import calendar
import datetime
import re
from collections import Counter

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.registry import find_generator
from shared.judging.verifiers.registry import verify
from shared.protocol.wire import sha256_digest
from shared.types import SliceName

BACK: dict[Side, set[int]] = {"public": {2, 4}, "held-out": {2, 3, 5}}
"""Templates that ask for an earlier day."""


@pytest.mark.parametrize("side", SIDES)
def test_the_gold_follows_from_the_text(side: Side) -> None:
    names = list(calendar.day_name)
    prompts = find_generator("weekdays-1").make(sha256_digest(b"days"), SliceName("days"), 700, side)
    for prompt in prompts:
        (start,) = re.findall("|".join(names), prompt.text)
        (days,) = map(int, re.findall(r"\d+", prompt.text))
        monday = datetime.date(2024, 1, 1)
        step = -days if int(prompt.cluster[-2:]) in BACK[side] else days
        answer = names[(monday + datetime.timedelta(names.index(start) + step)).weekday()]
        assert prompt.params == {"options": [name for name in names if name != start], "answer": answer}
        assert verify("choice-1", f"{days} days after {start} it is {answer}.", prompt.params) == 1.0
        assert verify("choice-1", f"{days} days after {start} it is {start}.", prompt.params) == 0.0
    answers = Counter(prompt.params["answer"] for prompt in prompts)
    assert max(answers.values()) < 0.2 * len(prompts)
