"""Fetching: the committed files of one submission are downloaded, verified and admitted, or it ends.

Scoring calls `fetch` for one submission at a time. Bytes reach the tensor pass only after every cheap
check; a store's or our own trouble never costs the miner its place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from shared.chain.commitment import commitment_digest, parse_locator
from shared.checkpoints.admission import inspect
from shared.checkpoints.download import download
from shared.checkpoints.stores import NotServed, open_store
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.manifest import Manifest
from shared.types import Digest, Hotkey
from validator.context import ValidatorContext
from validator.ledger import submissions
from validator.ledger.tables import SubmissionRow

log = structlog.get_logger()


@dataclass(frozen=True)
class Admitted:
    """A verified checkpoint in the cache."""

    manifest: Manifest
    tensor_root: Digest


async def fetch(context: ValidatorContext, submission: SubmissionRow) -> None:
    """Try once to fetch and admit a slotted submission, and write down what came of it."""
    key = (submission.hotkey, submission.commit_block)
    try:
        admitted = await asyncio.to_thread(_fetch_files, context, submission)
    except NotServed as error:
        await _not_there(context, submission, error)
    except Rejection as rejection:
        log.info("submission rejected", hotkey=submission.hotkey, code=rejection.code)
        await context.ledger.do(submissions.reject, key, rejection)
    except TransientError as error:
        log.warning("fetch failed", hotkey=submission.hotkey, code=error.code, error=error.message)
        await context.ledger.do(submissions.set_back, key, error)
    except Exception as error:  # the border: one miner's bytes must not stop the validator
        log.exception("fetch broke", hotkey=submission.hotkey)
        ours = AgonError("internal", f"cannot admit the files: {type(error).__name__}: {error}")
        await context.ledger.do(submissions.set_back, key, ours)
    else:
        await context.ledger.do(submissions.admit, key, admitted.manifest, admitted.tensor_root)


def _fetch_files(context: ValidatorContext, submission: SubmissionRow) -> Admitted:
    store = open_store(parse_locator(submission.locator or ""), context.settings)

    def binds(manifest: Digest) -> bool:
        bound = commitment_digest(context.rules.digest, manifest, Hotkey(submission.hotkey))
        return bound == submission.digest

    fetched = download(store, binds=binds, limits=context.rules.architecture.limits, cache=context.cache)
    admission = inspect(fetched.path, fetched.manifest, context.rules, context.bundle.base_table)
    return Admitted(fetched.manifest, admission.tensor_root)


async def restore(context: ValidatorContext, model: str) -> None:
    """Bring a checkpoint that was admitted back into the cache, if its files have gone.

    Raises TransientError when that fails: it was whole once, so the miner is not at fault.
    """
    if context.checkpoint_of(model).is_dir():
        return
    submission = await context.ledger.do(submissions.of_model, model)
    try:
        await asyncio.to_thread(_fetch_files, context, submission)
    except Rejection as error:
        message = f"{model} is no longer in the cache nor at its place: {error.message}"
        raise TransientError("store_unreachable", message) from error
    log.info("checkpoint restored", model=model)


async def _not_there(context: ValidatorContext, submission: SubmissionRow, error: AgonError) -> None:
    """Wait while the fetch window is open; afterwards the submission was withheld."""
    key = (submission.hotkey, submission.commit_block)
    reason = Rejection(error.code, error.message)
    if context.head <= (submission.fetch_from or 0) + context.rules.schedule.fetch_blocks:
        await context.ledger.do(submissions.wait_for_files, key, reason)
        return
    log.info("submission withheld", hotkey=submission.hotkey)
    await context.ledger.do(submissions.withhold, key, reason)
