"""Drawing: which prompts each round's duels take, the same on every validator and after every restart.

Scoring asks for a round. The answer follows from the pools and from the seeds of the rounds that drew
before, never from what happened to be answered so far. Nothing is sampled or scored here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from shared.checkpoints.bundle import Bundle
from shared.errors import AgonError
from shared.evaluation.prompts import draw
from shared.types import Digest, PromptId, RoundNumber
from validator.house import DrawnBlocks, House
from validator.ledger import rounds

log = structlog.get_logger()


async def draw_of(house: House, number: RoundNumber) -> DrawnBlocks:
    """The blocks of a round whose duels have started: as many as one round may ever need."""
    if number not in house.draws:
        history = await house.ledger.do(rounds.drawn_rounds, house.rules.digest, number)
        house.draws = await asyncio.to_thread(draw_rounds, house.bundle, history, house.draws)
    return house.draws[number]


def draw_rounds(
    bundle: Bundle,
    history: Sequence[tuple[RoundNumber, Digest]],
    known: Mapping[RoundNumber, DrawnBlocks],
) -> dict[RoundNumber, DrawnBlocks]:
    """The draws of all rounds of `history`, (number, seed) in order; those in `known` are kept.

    A round takes only prompts that no earlier one drew. Once too few are left the pool starts over: its
    prompts then serve a second time, with other sampler seeds.
    """
    draws: dict[RoundNumber, DrawnBlocks] = {}
    used: set[PromptId] = set()
    for number, seed in history:
        blocks = known.get(number) or _draw(bundle, seed, used)
        prompts = {prompt.id for block in blocks for prompt in block}
        if not used.isdisjoint(prompts):
            used = set()
        used |= prompts
        draws[number] = blocks
    return draws


def _draw(bundle: Bundle, seed: Digest, used: set[PromptId]) -> DrawnBlocks:
    counts = bundle.rules.duel.prompts
    weights = {part.name: part.weight for part in bundle.rules.slices}
    blocks = (counts.max + counts.gain) // bundle.rules.block_prompts
    try:
        return draw(bundle.pools, weights, seed, used, blocks)
    except AgonError as error:
        if error.code != "pool_exhausted":
            raise
        log.warning("prompt pool starts over", reason=error.message, help=error.help)
        return draw(bundle.pools, weights, seed, (), blocks)
