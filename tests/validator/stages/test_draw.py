"""Draws of rounds: fresh while prompts last, the same after a restart, and never the end of a validator."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from shared.checkpoints.bundle import Bundle
from shared.protocol.prompt import Prompt
from validator.stages.draw import DrawnBatches, draw_rounds

SIZE = 600
ROUND = 64 + 64
"""Prompts that one round of the competition may need."""


@pytest.fixture
def bundle(book: Any) -> Bundle:
    prompts = tuple(
        Prompt(id=f"words-{number}", slice="words", cluster=f"c{number % 60}", text="Say a word.")
        for number in range(SIZE)
    )
    nothing: Any = None
    return Bundle(book.rules, Path(), {"words": prompts}, {}, {}, Path(), nothing)


def history(count: int) -> list[Any]:
    return [(number, "sha256:" + hashlib.sha256(b"%d" % number).hexdigest()) for number in range(count)]


def ids(batches: DrawnBatches) -> set[str]:
    return {prompt.id for batch in batches for prompt in batch}


def test_no_round_takes_a_prompt_again_while_others_are_left(bundle: Bundle) -> None:
    draws = draw_rounds(bundle, history(SIZE // ROUND), {})
    assert sum(len(ids(batches)) for batches in draws.values()) == ROUND * (SIZE // ROUND)
    assert len(set.union(*map(ids, draws.values()))) == ROUND * (SIZE // ROUND)


def test_an_exhausted_pool_starts_over_and_does_not_stop_the_validator(bundle: Bundle) -> None:
    draws = draw_rounds(bundle, history(3 * SIZE // ROUND), {})
    assert [len(ids(batches)) for batches in draws.values()] == [ROUND] * len(draws)
    after = SIZE // ROUND
    assert not ids(draws[after]) & ids(draws[after + 1])


def test_a_restart_draws_what_a_running_validator_drew(bundle: Bundle) -> None:
    grown: dict[Any, DrawnBatches] = {}
    for count in range(1, 13):
        grown = draw_rounds(bundle, history(count), grown)
    assert grown == draw_rounds(bundle, history(12), {})
