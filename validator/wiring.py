"""Wiring: the one place where a validator's parts are built and joined.

`open_context` hands out a context that is tied to its chain, its ledger and its published rules, and takes
everything down in reverse order. Stages never build anything themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

from shared.chain.client import ChainClient
from shared.chain.commitment import parse_log_head
from shared.chain.connect import connect
from shared.chain.wallets import Wallet, hotkey_of, open_wallet
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.checkpoints.numbers import check_bundle_numbers
from shared.duels.scorer import Scorer
from shared.errors import AgonError
from shared.governance.publish import fetch_log
from shared.judging.families import Server
from shared.judging.panel import Panel
from shared.locks import sole_process
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.settings import Settings
from shared.types import Digest, Netuid
from validator.context import ValidatorContext
from validator.ledger import rounds
from validator.ledger.database import World, open_ledger


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[ValidatorContext]:
    """A context for `settings`: chain, ledger, bundle, children, wallet, checked against each other."""
    netuid = settings.require_netuid()
    wallet = open_wallet(settings)
    bundle = load_bundle(settings.require_bundle())
    check_bundle_numbers(bundle.rules, bundle.pools)
    with sole_process(settings.state):
        async with _open_parts(settings, bundle, wallet, netuid) as context:
            try:
                yield context
            finally:
                await _stop_scoring(context)


@asynccontextmanager
async def _open_parts(
    settings: Settings, bundle: Bundle, wallet: Wallet, netuid: Netuid
) -> AsyncIterator[ValidatorContext]:
    async with connect(settings, patient=True) as chain:
        world = World(await chain.genesis_hash(), netuid, hotkey_of(wallet))
        await require_published(chain, netuid, bundle.rules.digest, settings)
        with (
            closing(open_ledger(settings.ledger_url, world)) as ledger,
            _open_scorer(settings, bundle) as scorer,
        ):
            await ledger.do(rounds.enter_competition, bundle.rules, bundle.rules.base.digest)
            yield ValidatorContext(
                chain=chain,
                ledger=ledger,
                bundle=bundle,
                scorer=scorer,
                wallet=wallet,
                signer=wallet.hotkey,
                hotkey=hotkey_of(wallet),
                netuid=netuid,
                settings=settings,
                cache=settings.state / "cache",
            )


async def require_published(
    chain: ChainClient, netuid: Netuid, competition: Digest, settings: Settings
) -> None:
    """Raises AgonError `competition_unpublished` unless the owner's log holds these rules."""
    owner = await chain.owner_hotkey(netuid)
    record = await chain.commitment_of(netuid, owner)
    if record is None:
        raise AgonError("competition_unpublished", f"subnet owner {owner} has committed no governance log")
    entries = await fetch_log(parse_log_head(record.fields), settings)
    if not any(entry.kind == "rules" and entry.digest == competition for entry in entries):
        raise AgonError("competition_unpublished", f"the owner's log does not hold competition {competition}")


@contextmanager
def _open_scorer(settings: Settings, bundle: Bundle) -> Iterator[Scorer]:
    """The scorer, its two children and what else judges, which end with it."""
    logs = settings.state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    rules = bundle.rules
    with (
        closing(SamplerChild(bundle.base, rules.sampling, log=logs / "sampler.log")) as sampler,
        closing(JudgeChild(bundle.judges, log=logs / "judges.log", terms=rules.judges)) as child,
        closing(Panel(child, rules.judges, bundle.judges, _judge_server(settings))) as judges,
    ):
        yield Scorer(rules, bundle.references, sampler, judges)


def _judge_server(settings: Settings) -> Server | None:
    return None if settings.judge_url is None else Server(settings.judge_url, settings.judge_key)


async def _stop_scoring(context: ValidatorContext) -> None:
    """End the scoring task, if one is under way; the ledger knows where to go on."""
    task, context.scoring = context.scoring, None
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
