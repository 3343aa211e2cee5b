"""Drawing: which prompts each round's duels take, the same on every validator and after every restart.

Scoring asks for a round. The answer follows from the pools and from the seeds of the rounds that drew
before, never from what happened to be answered so far. Nothing is sampled or scored here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from shared.checkpoints.bundle import Bundle
from shared.duels.draw import draw
from shared.errors import AgonError
from shared.types import Digest, PromptId, RoundNumber
from validator.context import DrawnBatches, ValidatorContext
from validator.ledger import rounds

log = structlog.get_logger()


async def draw_of(context: ValidatorContext, number: RoundNumber) -> DrawnBatches:
    """The batches of a round whose duels have started: as many as one round may ever need."""
    if number not in context.draws:
        history = await context.ledger.do(rounds.drawn_rounds, context.rules.digest, number)
        context.draws = await asyncio.to_thread(draw_rounds, context.bundle, history, context.draws)
    return context.draws[number]


def draw_rounds(
    bundle: Bundle,
    history: Sequence[tuple[RoundNumber, Digest]],
    known: Mapping[RoundNumber, DrawnBatches],
) -> dict[RoundNumber, DrawnBatches]:
    """The draws of all rounds of `history`, (number, seed) in order; those in `known` are kept.

    A round takes only prompts that no earlier one drew. Once too few are left the pool starts over: its
    prompts then serve a second time, with other sampler seeds.
    """
    draws: dict[RoundNumber, DrawnBatches] = {}
    used: set[PromptId] = set()
    for number, seed in history:
        batches = known.get(number) or _draw(bundle, seed, used)
        prompts = {prompt.id for batch in batches for prompt in batch}
        if not used.isdisjoint(prompts):
            used = set()
        used |= prompts
        draws[number] = batches
    return draws


def _draw(bundle: Bundle, seed: Digest, used: set[PromptId]) -> DrawnBatches:
    counts = bundle.rules.duel.prompts
    per_batch = {part.name: part.per_batch for part in bundle.rules.slices}
    batches = (counts.max + counts.gain) // bundle.rules.batch_prompts
    try:
        return draw(bundle.pools, per_batch, seed, used, batches)
    except AgonError as error:
        if error.code != "pool_exhausted":
            raise
        log.warning("prompt pool starts over", reason=error.message, help=error.help)
        return draw(bundle.pools, per_batch, seed, (), batches)
