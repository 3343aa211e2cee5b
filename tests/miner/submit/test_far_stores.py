"""A checkpoint's whole way through a store far away: submitted, closed, published, fetched, admitted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from shared.chain.connect import connect
from shared.chain.dev_wallets import create_dev_wallet
from shared.chain.wallets import hotkey_of
from shared.checkpoints.bundle import load_bundle
from shared.checkpoints.manifest import build_manifest, load_manifest
from shared.duels.scorer import Scorer
from shared.settings import Settings
from shared.types import Netuid
from validator.context import ValidatorContext
from validator.ledger import rounds
from validator.ledger.database import World as LedgerWorld
from validator.ledger.database import open_ledger
from validator.ledger.tables import SubmissionRow
from validator.stages.duel import step
from validator.stages.intake import intake


@asynccontextmanager
async def _house(world: Any, settings: Settings) -> AsyncIterator[ValidatorContext]:
    """A validator that has no scorer: it fetches and admits, and scores nothing."""
    bundle, wallet = load_bundle(world.root / "bundle", public=True), create_dev_wallet(settings)
    async with connect(settings) as chain:
        tied = LedgerWorld(await chain.genesis_hash(), 1, hotkey_of(wallet))
        ledger = open_ledger(f"sqlite:///{world.root / 'ledger.db'}", tied)
        await ledger.do(rounds.enter_competition, bundle.rules, bundle.rules.base.digest)
        yield ValidatorContext(
            chain=chain,
            ledger=ledger,
            bundle=bundle,
            scorer=cast(Scorer, None),
            wallet=wallet,
            signer=wallet.hotkey,
            hotkey=hotkey_of(wallet),
            netuid=Netuid(1),
            settings=settings,
            cache=world.root / "cache",
        )
        ledger.close()


def _validate(world: Any, steps: int = 1, **places: Any) -> tuple[SubmissionRow, Path]:
    """What a validator without any keys makes of the round that closed: slots first, then a fetch each."""
    settings = world.settings.model_copy(update=places)

    async def work() -> tuple[SubmissionRow, Path]:
        async with _house(world, settings) as context:
            await intake(context, await context.chain.finalised_head())
            for _ in range(steps):
                await step(context)
            found = await context.ledger.do(lambda session: session.scalars(select(SubmissionRow)).one())
            return found, context.checkpoint_of(found.model or "sha256:none")

    return asyncio.run(work())


def _take_the_way(world: Any, locator: str, **places: Any) -> None:
    """Submit, see that a validator finds nothing before the slot, publish, and see it admitted."""
    first = world.run_json("submit", world.package, "--locator", locator, "--no-wait")
    assert (first["state"], first["locator"]) == ("finalised", locator)
    world.advance_to(first["close_block"] + 1)
    early, _ = _validate(world, 2, **places)
    assert (early.state, early.code) == ("slotted", "withheld")
    assert world.run_json("submit", "--resume")["state"] == "verified"
    world.advance_to(world.head() + 1)
    admitted, path = _validate(world, **places)
    assert (admitted.state, admitted.model) == ("admitted", load_manifest(world.package).digest)
    assert build_manifest(path) == load_manifest(world.package)
    assert world.commits() == 1


def test_a_checkpoint_goes_all_the_way_through_an_s3_bucket(world: Any, s3_host: Any) -> None:
    s3_host.open_prefix("alice/")
    world.env.update(AWS_ACCESS_KEY_ID="owner", AWS_SECRET_ACCESS_KEY="secret")
    _take_the_way(world, f"s3://{s3_host.host}/models/alice")
    assert {key.split("/")[0] for key in s3_host.objects()} == {"alice"}


def test_a_checkpoint_goes_all_the_way_through_a_hub(world: Any, hub: Any) -> None:
    world.env.update(HF_ENDPOINT=hub.url, HF_TOKEN="hf_test")
    _take_the_way(world, "hf://alice/policy", hf_endpoint=hub.url)
    assert not hub.repos["alice/policy"].private
    assert len(hub.uploads()) == 1


def test_a_repository_that_stays_private_is_withheld_when_the_window_ends(world: Any, hub: Any) -> None:
    world.env.update(HF_ENDPOINT=hub.url, HF_TOKEN="hf_test")
    first = world.run_json("submit", world.package, "--locator", "hf://alice/policy", "--no-wait")
    world.advance_to(first["close_block"] + 1)
    waiting, _ = _validate(world, 2, hf_endpoint=hub.url)
    assert (waiting.state, waiting.code) == ("slotted", "withheld")
    world.advance_to(first["readable_until_block"] + 2)
    ended, _ = _validate(world, hf_endpoint=hub.url)
    assert (ended.state, ended.code) == ("withheld", "withheld")


def test_a_hub_that_is_down_costs_the_miner_nothing(world: Any, hub: Any) -> None:
    world.env.update(HF_ENDPOINT=hub.url, HF_TOKEN="hf_test")
    first = world.run_json("submit", world.package, "--locator", "hf://alice/policy", "--no-wait")
    hub.refuse["/revision/"] = (503, {}, b"")
    world.advance_to(first["close_block"] + 1)
    _validate(world, 2, hf_endpoint=hub.url)
    world.advance_to(first["readable_until_block"] + 2)
    waiting, _ = _validate(world, hf_endpoint=hub.url)
    assert (waiting.state, waiting.code, waiting.attempts) == ("slotted", "store_unreachable", 2)


def test_nothing_is_committed_before_the_files_are_in_the_store(world: Any, hub: Any) -> None:
    world.env.update(HF_ENDPOINT=hub.url)
    result = world.run("submit", world.package, "--locator", "hf://alice/policy", "--no-wait")
    assert (result.exit_code, "error: store_denied" in result.stderr) == (1, True)
    assert world.commits() == 0
    world.env.update(HF_TOKEN="hf_test")
    hub.quota_bytes = 10
    full = world.run("submit", "--resume", "--no-wait")
    assert (full.exit_code, "error: store_full" in full.stderr, world.commits()) == (1, True, 0)
    hub.quota_bytes = 10**9
    assert world.run_json("submit", "--resume", "--no-wait")["state"] == "finalised"
    assert (world.commits(), hub.repos["alice/policy"].private) == (1, True)


@pytest.mark.parametrize("secret", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_no_secret_is_ever_printed(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(secret, "very-secret")
    settings = Settings.load(network="embedded")
    assert "very-secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
