"""The plan of a submission: what would be committed, to which round, and whether it is under way already.

`request.py` asks before the first step is taken. Nothing here writes or sends anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from miner.submit.journal import Journal
from shared.chain.commitment import Locator, commitment_digest, encode_commitment
from shared.checkpoints.admission import findings
from shared.checkpoints.bundle import Bundle
from shared.checkpoints.manifest import load_manifest
from shared.errors import AgonError, Rejection
from shared.protocol.competition import Competition, Schedule
from shared.protocol.manifest import Manifest
from shared.types import Hotkey, Netuid, RoundNumber

if TYPE_CHECKING:
    from shared.chain.client import ChainClient
    from shared.chain.records import CommitmentRecord


def check_source(source: Path, bundle: Bundle) -> tuple[Manifest, list[Rejection]]:
    """The manifest of a packaged checkpoint and all that admission would find wrong with it.

    Raises Rejection `manifest_invalid` when it is not packaged.
    """
    manifest = load_manifest(source)
    return manifest, findings(source, manifest, bundle.rules, bundle.base_table)


async def plan(
    chain: ChainClient,
    *,
    netuid: Netuid,
    hotkey: Hotkey,
    rules: Competition,
    source: Path,
    manifest: Manifest,
    locator: Locator,
) -> Journal:
    """What a submission would commit, and to which round. Writes nothing.

    Raises AgonError `not_registered` or `locator_invalid`.
    """
    if await chain.uid_of(netuid, hotkey) is None:
        raise AgonError("not_registered", f"{hotkey} is not registered on subnet {netuid}")
    digest = commitment_digest(rules.digest, manifest.digest, hotkey)
    head = (await chain.head()).number
    number = round_of(rules.schedule, head + 1)
    close = rules.schedule.close(number)
    return Journal(
        genesis=await chain.genesis_hash(),
        netuid=netuid,
        hotkey=hotkey,
        competition=rules.digest,
        manifest=manifest.digest,
        digest=digest,
        locator=str(locator),
        text=encode_commitment(digest, locator),
        source=str(source.resolve()),
        planned_block=head,
        round=number,
        close_block=close,
        fetch_until_block=close + rules.schedule.fetch_blocks,
    )


def round_of(schedule: Schedule, block: int) -> RoundNumber:
    """The round whose close is the first to see a commit of `block`."""
    return RoundNumber(max(0, schedule.round_at(block)))


async def find_live(chain: ChainClient, journal: Journal) -> CommitmentRecord | None:
    """The hotkey's commitment, if it says what the journal says."""
    record = await chain.commitment_of(journal.netuid, journal.hotkey)
    return record if record is not None and says(record, journal) else None


def choose_journal(
    planned: Journal, existing: Journal | None, *, live_block: int | None, replace: bool
) -> Journal:
    """Which journal a `submit` goes on with: the one under way, or the new plan.

    `live_block` is the block in which the planned text was committed already, if it was. Committing it
    again would lose its place in the queue, so that needs `replace`. Raises AgonError `submission_open`
    when another submission is under way.
    """
    if replace:
        return planned
    if existing is not None and existing.state != "verified" and not existing.is_same_submission(planned):
        message = f"a submission of {existing.manifest} by this hotkey is only {existing.state}"
        raise AgonError("submission_open", message)
    if existing is not None and existing.is_same_submission(planned):
        if existing.state != "verified" or live_block is not None:
            return existing
    elif live_block is not None:
        # its journal was lost: take up the commitment that is on chain
        return planned.model_copy(update={"planned_block": live_block - 1})
    return planned


def says(record: CommitmentRecord, journal: Journal) -> bool:
    """Whether the record holds the text that the journal commits."""
    data = journal.text.encode("ascii")
    return record.fields == ((f"Raw{len(data)}", data),)
