"""Orders: what a user asked `agon-miner submit` to do, brought together with chain, wallet and store.

The command hands over settings and an order; this opens what is needed, decides whether a submission
under way is continued, and lets `submit.py` take the steps. A dry run goes the same way and stops before
anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miner.submit.journal import Journal, journal_path, load_journal, save_journal
from miner.submit.plan import check_source, choose_journal, find_live, plan
from miner.submit.slot import Slot, ask_slot
from miner.submit.steps import SubmitContext, Talk, submit
from shared.chain.commitment import Locator, parse_locator
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.checkpoints.stores import open_store
from shared.errors import AgonError, Rejection
from shared.protocol.competition import Competition
from shared.protocol.manifest import Manifest
from shared.settings import Settings
from shared.types import Hotkey

if TYPE_CHECKING:
    from shared.chain.client import ChainClient


@dataclass(frozen=True)
class SubmitRequest:
    """What was asked for."""

    source: Path | None
    locator: str | None
    resume: bool = False
    replace: bool = False
    wait: bool = True
    api: str | None = None
    """Validator to ask for the slot."""
    dry_run: bool = False


@dataclass(frozen=True)
class Receipt:
    """What came of it: a document for the user, or the findings that stopped it."""

    document: dict[str, Any]
    findings: tuple[Rejection, ...] = ()


@dataclass(frozen=True)
class _Packed:
    source: Path
    manifest: Manifest
    locator: Locator
    findings: tuple[Rejection, ...]


async def run_submit(settings: Settings, request: SubmitRequest, *, talk: Talk) -> Receipt:
    """Carry out an order. Raises AgonError; the journal then stays at the last step that was done."""
    from shared.chain.connect import connect
    from shared.chain.wallets import hotkey_of, open_wallet

    settings.require_network()
    settings.require_netuid()
    bundle = load_bundle(settings.require_bundle(), public=True)
    wallet = open_wallet(settings, need="public" if request.dry_run else "hotkey")
    path = journal_path(settings.state, hotkey_of(wallet))
    existing = load_journal(path)
    async with connect(settings) as chain:
        if request.resume:
            journal = await _resume(chain, settings, bundle.rules, existing)
        else:
            packed = _check(settings, request, bundle)
            if packed.findings:
                return Receipt({}, packed.findings)
            planned = await _plan(chain, settings, bundle.rules, packed, hotkey_of(wallet))
            if request.dry_run:
                return Receipt(_describe_plan(planned, packed.manifest))
            live = await find_live(chain, planned)
            live_block = live.block if live else None
            journal = choose_journal(planned, existing, live_block=live_block, replace=request.replace)
            if journal.state == "verified":
                talk(f"committed already, in block {journal.commit_block}; --replace commits it anew")
        if settings.file_root is not None:
            settings.file_root.mkdir(parents=True, exist_ok=True)
        store = open_store(parse_locator(journal.locator), settings)
        context = SubmitContext(
            chain=chain,
            commit=lambda text: chain.commit(wallet, settings.require_netuid(), text),
            rules=bundle.rules,
            store=store,
            save=lambda step: save_journal(path, step),
            scratch=settings.state / "scratch",
            talk=talk,
            ask=_asker(request.api),
        )
        context.save(journal)
        done = await submit(context, journal, wait=request.wait)
    return Receipt(_describe(done, settings))


def _check(settings: Settings, request: SubmitRequest, bundle: Bundle) -> _Packed:
    """Everything about the checkpoint and its place that can be known without the chain."""
    if request.source is None or request.locator is None:
        message = "a packaged checkpoint and --locator are needed, unless --resume is given"
        raise AgonError("usage", message)
    locator = parse_locator(request.locator)
    open_store(locator, settings)
    manifest, found = check_source(request.source, bundle)
    return _Packed(request.source, manifest, locator, tuple(found))


async def _plan(
    chain: ChainClient, settings: Settings, rules: Competition, packed: _Packed, hotkey: Hotkey
) -> Journal:
    return await plan(
        chain,
        netuid=settings.require_netuid(),
        hotkey=hotkey,
        rules=rules,
        source=packed.source,
        manifest=packed.manifest,
        locator=packed.locator,
    )


async def _resume(
    chain: ChainClient, settings: Settings, rules: Competition, existing: Journal | None
) -> Journal:
    if existing is None:
        message = f"no submission of this hotkey is under way in {settings.state}"
        raise AgonError("not_found", message, help="start one with `agon-miner submit PACKAGE_DIR`")
    if (existing.genesis, existing.netuid) != (await chain.genesis_hash(), settings.netuid):
        message = "the submission under way is on another chain or subnet"
        raise AgonError("chain_mismatch", message, help="use the network and --netuid that it started on")
    if existing.competition != rules.digest:
        message = f"the submission under way is for competition {existing.competition}"
        raise AgonError("bundle_damaged", message, help="pass the --bundle that it started with")
    return existing


def _asker(api: str | None) -> Callable[[Journal], Slot | None] | None:
    if api is None:
        return None
    return lambda journal: ask_slot(api, journal.digest, journal.commit_block or 0)


def _describe_plan(journal: Journal, manifest: Manifest) -> dict[str, Any]:
    return {
        "dry_run": "nothing was sent or written",
        "manifest": journal.manifest,
        "files": len(manifest.files),
        "bytes": manifest.total_bytes,
        "digest": journal.digest,
        "commitment": journal.text,
        "commitment_bytes": len(journal.text),
        "cost_tao": "0",
        "head": journal.planned_block,
        "round": journal.round,
        "close_block": journal.close_block,
        "readable_until_block": journal.fetch_until_block,
    }


def _describe(journal: Journal, settings: Settings) -> dict[str, Any]:
    document = {
        "state": journal.state,
        "digest": journal.digest,
        "manifest": journal.manifest,
        "commit_block": journal.commit_block,
        "round": journal.round,
        "close_block": journal.close_block,
        "readable_until_block": journal.fetch_until_block,
        "locator": journal.locator,
    }
    if journal.state == "verified":
        return document | {"next": "keep the files readable; agon-miner status --api URL"}
    who = f"-n {settings.network} --netuid {settings.netuid} -w {settings.wallet} -H {settings.wallet_hotkey}"
    until = f"when a round gives it a slot, from block {journal.close_block} on; --api URL asks for it"
    return document | {"next": f"agon-miner submit --resume {who} --bundle {settings.bundle}", "when": until}
