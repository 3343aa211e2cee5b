"""Submitting: bring a packaged checkpoint, commit it, wait for its slot, publish, read it back.

The command calls `submit` with a planned journal; it saves the journal after every step. Files never become
readable before the round that takes them has closed, so nobody can copy them in time. Before anything is
sent the chain is asked whether an earlier attempt sent it already.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from miner.submit.journal import Journal
from miner.submit.plan import round_of, says
from miner.submit.slot import Slot
from shared.chain.commitment import commitment_digest
from shared.checkpoints.download import download
from shared.checkpoints.manifest import load_manifest
from shared.checkpoints.stores import Store
from shared.errors import AgonError, TransientError
from shared.protocol.competition import Competition
from shared.protocol.manifest import Manifest
from shared.types import BlockNumber, Digest

if TYPE_CHECKING:
    from shared.chain.client import ChainClient
    from shared.chain.records import CommitmentRecord, Receipt

Talk = Callable[[str], None]

ASK_AGAIN_S = 2.0
"""Pause between two questions for a slot."""


@dataclass(frozen=True)
class SubmitContext:
    """What the steps of one submission work with."""

    chain: ChainClient
    commit: Callable[[str], Awaitable[Receipt]]
    """Sends a commitment signed by the hotkey."""
    rules: Competition
    store: Store
    save: Callable[[Journal], None]
    """Makes the journal durable."""
    scratch: Path
    """Directory for the copy that is read back."""
    talk: Talk
    ask: Callable[[Journal], Slot | None] | None = None
    """Asks a validator for the submission's slot; without it the close of the first round is taken for it."""


async def submit(context: SubmitContext, journal: Journal, *, wait: bool) -> Journal:
    """Take every step that is left, and save the journal after each.

    Without `wait` it stops where the round would have to close, or to give a slot, first. Raises what the
    steps raise; the journal then stays at the last step that was done.
    """
    while journal.state != "verified":
        if journal.state == "finalised":
            given = await _seek_slot(context, journal, wait=wait)
            if given is None:
                break
            journal = given
        else:
            journal = await _take_step(context, journal)
        context.save(journal)
    return journal


async def _take_step(context: SubmitContext, journal: Journal) -> Journal:
    if journal.state == "planned":
        return await _prepare(context, journal)
    if journal.state == "prepared":
        return await _commit(context, journal)
    if journal.state == "committed":
        return await _await_finality(context, journal)
    if journal.state == "slotted":
        return await _publish(context, journal)
    return await _verify(context, journal)


async def _prepare(context: SubmitContext, journal: Journal) -> Journal:
    """Bring the files to the store, private still: in the fetch window only their visibility changes."""
    source = Path(journal.source)
    context.talk(f"preparing {journal.locator}: nobody can read the files before the slot")
    await asyncio.to_thread(context.store.prepare, source, _committed_manifest(source, journal))
    return journal.model_copy(update={"state": "prepared"})


async def _commit(context: SubmitContext, journal: Journal) -> Journal:
    record = await context.chain.commitment_of(journal.netuid, journal.hotkey)
    if record is None or not _is_ours(record, journal):
        context.talk(f"committing {journal.text}")
        await context.commit(journal.text)
    return journal.model_copy(update={"state": "committed"})


async def _await_finality(context: SubmitContext, journal: Journal) -> Journal:
    head = await context.chain.finalised_head()
    record = await context.chain.commitment_of(journal.netuid, journal.hotkey, head.number)
    if record is None or not _is_ours(record, journal):
        return await _look_again(context, journal)
    schedule = context.rules.schedule
    number = round_of(schedule, record.block)
    close = schedule.close(number)
    context.talk(f"committed in block {record.block}, for round {number}")
    return journal.model_copy(
        update={
            "state": "finalised",
            "commit_block": int(record.block),
            "round": number,
            "close_block": close,
            "fetch_until_block": close + schedule.fetch_blocks,
        }
    )


async def _look_again(context: SubmitContext, journal: Journal) -> Journal:
    """The commit is not in the final state: it waits for finality, was replaced, or was lost in a fork."""
    record = await context.chain.commitment_of(journal.netuid, journal.hotkey)
    if record is not None and _is_ours(record, journal):
        await context.chain.wait_for_block(record.block)
        return journal
    if record is not None and record.block > journal.planned_block:
        message = f"another commitment of this hotkey replaced this one in block {record.block}"
        help_line = "find out who else uses this hotkey; then submit again with --replace"
        raise AgonError("commitment_mismatch", message, help=help_line)
    return journal.model_copy(update={"state": "planned"})


async def _seek_slot(context: SubmitContext, journal: Journal, *, wait: bool) -> Journal | None:
    """The journal with the slot that a round gave it; None when that would take waiting."""
    head = await context.chain.finalised_head()
    if head.number < journal.close_block:
        if not wait:
            return None
        context.talk(f"waiting for block {journal.close_block}, the close of round {journal.round}")
        await context.chain.wait_for_block(BlockNumber(journal.close_block))
    if context.ask is None:
        context.talk("no --api to ask for the slot: publishing at the close")
        return journal.model_copy(update={"state": "slotted"})
    slot = await _ask(context, journal)
    if slot is None:
        context.talk("the files stay private until a round gives this submission a slot")
    while slot is None and wait:
        await asyncio.sleep(ASK_AGAIN_S)
        slot = await _ask(context, journal)
    return None if slot is None else _in_slot(context, journal, slot)


async def _ask(context: SubmitContext, journal: Journal) -> Slot | None:
    """One question to the validator; one that does not answer has told us of no slot."""
    assert context.ask is not None
    try:
        return await asyncio.to_thread(context.ask, journal)
    except TransientError as error:
        context.talk(f"{error.code}: {error.message}")
        return None


def _in_slot(context: SubmitContext, journal: Journal, slot: Slot) -> Journal:
    close = context.rules.schedule.close(slot.round)
    until = slot.fetch_until or close + context.rules.schedule.fetch_blocks
    context.talk(f"round {slot.round} gave this submission a slot")
    return journal.model_copy(
        update={
            "state": "slotted",
            "round": slot.round,
            "close_block": close,
            "fetch_until_block": until,
        }
    )


async def _publish(context: SubmitContext, journal: Journal) -> Journal:
    head = await context.chain.finalised_head()
    if head.number > journal.fetch_until_block:
        context.talk(
            f"late: validators of round {journal.round} waited until block {journal.fetch_until_block}"
        )
    source = Path(journal.source)
    manifest = _committed_manifest(source, journal)
    context.talk(f"publishing {manifest.total_bytes} bytes to {journal.locator}")
    await asyncio.to_thread(context.store.publish, source, manifest)
    return journal.model_copy(update={"state": "published"})


def _committed_manifest(source: Path, journal: Journal) -> Manifest:
    manifest = load_manifest(source)
    if manifest.digest != journal.manifest:
        raise AgonError("digest_mismatch", f"{source} holds another checkpoint than the one committed")
    return manifest


async def _verify(context: SubmitContext, journal: Journal) -> Journal:
    def binds(manifest: Digest) -> bool:
        return commitment_digest(journal.competition, manifest, journal.hotkey) == journal.digest

    def read_back() -> None:
        context.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=context.scratch) as cache:
            limits = context.rules.architecture.limits
            download(context.store, binds=binds, limits=limits, cache=Path(cache))

    await asyncio.to_thread(read_back)
    context.talk(f"read back from {journal.locator}: every byte is as committed")
    return journal.model_copy(update={"state": "verified"})


def _is_ours(record: CommitmentRecord, journal: Journal) -> bool:
    return says(record, journal) and record.block > journal.planned_block
