"""Pruning: checkpoints that no duel and no crown needs any more leave the cache.

The loop calls it while nothing is fetched or scored. What is deleted was published, so it can be fetched
again; champions are kept, since nobody has to publish them for ever.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import structlog

from shared.checkpoints.download import checkpoint_path, list_cached
from shared.types import Digest
from validator.context import ValidatorContext
from validator.ledger import submissions

log = structlog.get_logger()


async def prune(context: ValidatorContext) -> None:
    """Delete cached checkpoints that are neither champions nor under way; nothing while work is under way."""
    if context.scoring is not None and not context.scoring.done():
        return
    needed = await context.ledger.do(submissions.models_needed)
    if await context.ledger.do(submissions.due_fetches):
        return
    await asyncio.to_thread(_delete_others, context.cache, needed)


def _delete_others(cache: Path, needed: set[str]) -> None:
    for model in list_cached(cache):
        if model not in needed:
            shutil.rmtree(checkpoint_path(cache, Digest(model)))
            log.info("checkpoint dropped from the cache", model=model)
