"""Dates: the gold is what Python's calendar gives for the dates in the text."""

from __future__ import annotations

import calendar
import datetime
import re
from collections import Counter

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.registry import find_generator
from shared.judging.verifiers.registry import verify
from shared.protocol.prompt import Prompt
from shared.protocol.wire import sha256_digest
from shared.types import SliceName

MONTHS = {name: number for number, name in enumerate(calendar.month_name) if name}


def solve(prompt: Prompt) -> int:
    years = [int(year) for year in re.findall(r"\b\d{4}\b", prompt.text)]
    days = [
        (MONTHS[month], int(day))
        for month, day in re.findall(rf"\b({'|'.join(MONTHS)}) (\d{{1,2}})\b", prompt.text)
    ]
    kind = int(prompt.cluster[-2:])
    year = years[0] if years else 2001
    if kind in (0, 1, 4, 5):
        first, second = (datetime.date(year, *day) for day in days)
        return (second - first).days
    if kind == 2 or (kind == 3 and days):
        (month, day), *_ = days
        return calendar.monthrange(year, month)[1] - day
    if kind == 3:
        month = next(number for name, number in MONTHS.items() if name in prompt.text)
        return calendar.monthrange(year, month)[1] - int(re.findall(r"\d+", prompt.text)[0])
    step = 1 if kind == 6 else -1
    return next(found for found in range(year + step, year + 9 * step, step) if calendar.isleap(found))


@pytest.mark.parametrize("side", SIDES)
def test_the_gold_follows_from_the_text(side: Side) -> None:
    for prompt in find_generator("dates-1").make(sha256_digest(b"dates"), SliceName("dates"), 800, side):
        answer = solve(prompt)
        assert prompt.params == {"answer": str(answer)}, prompt.text
        assert verify("exact-answer-3", f"The answer is {answer}.", prompt.params) == 1.0
        assert verify("exact-answer-3", f"The answer is {answer + 1}.", prompt.params) == 0.0


def test_no_one_answer_is_often_right() -> None:
    prompts = find_generator("dates-1").make(sha256_digest(b"dates"), SliceName("dates"), 800, "held-out")
    ((_, most),) = Counter(prompt.params["answer"] for prompt in prompts).most_common(1)
    assert most < 0.06 * len(prompts)
