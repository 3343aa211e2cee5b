"""Rules are in force once the chain points at a log that holds them; repeating changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bittensor as bt
import pytest
from pydantic import SecretStr

from shared.chain.client import ChainClient
from shared.chain.commitment import parse_locator
from shared.chain.wallets import hotkey_of
from shared.checkpoints.bundle import load_bundle
from shared.errors import AgonError
from shared.governance.log import LOG_NAME, InForce, in_force, read_log, rules_name
from shared.governance.publish import committed_head, log_target
from shared.protocol.loader import load_competition
from shared.settings import Settings
from shared.types import Netuid, RoundNumber
from validator.owner.publish import publish_competition, schedule_start
from validator.owner.subnet import SubnetOptions, init_subnet
from validator.wiring import require_published

if TYPE_CHECKING:
    from tests.validator.owner.conftest import World

Wallets = dict[str, bt.Wallet]


async def made_subnet(chain: ChainClient, wallets: Wallets) -> Netuid:
    plan = await init_subnet(chain, wallets["owner"], SubnetOptions())
    assert plan.netuid is not None
    return plan.netuid


def test_published_rules_are_found_from_the_chain_alone(
    world: World, wallets: Wallets, settings: Settings, bundle_root: Path
) -> None:
    async def play() -> None:
        async with world() as (chain, _):
            netuid = await made_subnet(chain, wallets)
            owner = hotkey_of(wallets["owner"])
            place = log_target(settings, owner)
            done = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            head = await committed_head(chain, netuid, owner)
            assert head is not None
            assert (head.digest, head.locator) == (done.head, place.locator)
            folder = settings.store / head.locator.name
            entries = read_log((folder / LOG_NAME).read_bytes(), head.digest)
            rules = load_bundle(bundle_root).rules
            assert in_force(entries, RoundNumber(0)) == InForce(
                rules.digest, (rules.judges[0].digest,), (rules.slices[0].pool.root,)
            )
            assert load_competition(folder / rules_name(rules.digest)) == rules
            assert (done.competition, done.appended, done.committed) == (rules.digest, 3, True)
            assert done.start_block == rules.schedule.start_block > (await chain.head()).number - 3

    asyncio.run(play())


def test_publishing_again_changes_nothing(
    world: World, wallets: Wallets, settings: Settings, bundle_root: Path
) -> None:
    async def play() -> None:
        async with world() as (chain, substrate):
            netuid = await made_subnet(chain, wallets)
            place = log_target(settings, hotkey_of(wallets["owner"]))
            first = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            substrate.advance(100)
            head = await chain.head()
            again = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            assert again == replace(first, appended=0, committed=False)
            assert await chain.head() == head
            with pytest.raises(AgonError) as caught:
                await publish_competition(
                    chain, wallets["owner"], netuid, bundle_root, place, start_block=500
                )
            assert caught.value.code == "competition_invalid"

    asyncio.run(play())


def test_an_attempt_that_died_before_the_commit_does_not_start_rounds_in_the_past(
    world: World, wallets: Wallets, settings: Settings, bundle_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise ConnectionError("killed before the commit")

    async def play() -> None:
        async with world() as (chain, substrate):
            netuid = await made_subnet(chain, wallets)
            place = log_target(settings, hotkey_of(wallets["owner"]))
            with monkeypatch.context() as patch, pytest.raises(ConnectionError):
                patch.setattr(ChainClient, "commit", die)
                await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            dead = load_bundle(bundle_root).rules
            substrate.advance(100)
            done = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            assert done.start_block > (await chain.head()).number - 3 > dead.schedule.start_block
            assert (done.competition != dead.digest, done.committed) == (True, True)

    asyncio.run(play())


def test_lost_log_is_restored_and_a_parted_one_refused(
    world: World, wallets: Wallets, settings: Settings, bundle_root: Path
) -> None:
    async def play() -> None:
        async with world() as (chain, _):
            netuid = await made_subnet(chain, wallets)
            place = log_target(settings, hotkey_of(wallets["owner"]))
            first = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            kept = place.own_file.read_bytes()
            place.own_file.unlink()
            again = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            assert (again.head, again.appended) == (first.head, 0)
            assert place.own_file.read_bytes() == kept
            place.own_file.write_bytes(kept.splitlines(keepends=True)[0].replace(b'"judge"', b'"pool"'))
            with pytest.raises(AgonError) as caught:
                await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            assert caught.value.code == "log_invalid"

    asyncio.run(play())


def test_only_the_owner_publishes(
    world: World, wallets: Wallets, settings: Settings, bundle_root: Path
) -> None:
    async def play() -> None:
        async with world() as (chain, _):
            netuid = await made_subnet(chain, wallets)
            other = wallets["other"]
            await chain.register(other, netuid)
            place = log_target(settings, hotkey_of(other))
            with pytest.raises(AgonError) as caught:
                await publish_competition(chain, other, netuid, bundle_root, place)
            assert caught.value.code == "chain_rejected"
            assert await committed_head(chain, netuid, hotkey_of(other)) is None
            assert not place.own_file.exists()
            assert load_bundle(bundle_root).rules.schedule.start_block == 0

    asyncio.run(play())


def test_round_zero_lies_ahead_and_new_rules_come_with_notice(bundle_root: Path) -> None:
    rules = load_bundle(bundle_root).rules
    assert schedule_start(rules, 10, None, notice=0).schedule.start_block == 16
    assert schedule_start(rules, 10, 11, notice=0).schedule.start_block == 11
    assert schedule_start(rules, 10, None, notice=2).schedule.start_block == 96
    ahead = schedule_start(rules, 10, 500, notice=0)
    assert schedule_start(ahead, 20, None, notice=0) == ahead
    for start, notice in ((10, 0), (90, 2)):
        with pytest.raises(AgonError) as caught:
            schedule_start(rules, 10, start, notice=notice)
        assert caught.value.code == "competition_invalid"


@pytest.mark.parametrize("scheme", ["hf", "s3"])
def test_a_log_far_away_is_read_by_everybody(
    *,
    world: World,
    wallets: Wallets,
    settings: Settings,
    bundle_root: Path,
    hub: Any,
    s3_host: Any,
    scheme: str,
) -> None:
    s3_host.open_prefix("log/")
    text = {"hf": "hf://owner/log", "s3": f"s3://{s3_host.host}/models/log"}[scheme]
    keys = {"s3_key_id": "owner", "s3_secret": SecretStr("secret"), "hf_token": SecretStr("hf_test")}
    public = settings.model_copy(update={"hf_endpoint": hub.url})
    own = public.model_copy(update=keys)

    async def play() -> None:
        async with world() as (chain, _):
            netuid = await made_subnet(chain, wallets)
            place = log_target(own, hotkey_of(wallets["owner"]), parse_locator(text))
            done = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            await require_published(chain, netuid, done.competition, public)
            place.own_file.unlink()
            again = await publish_competition(chain, wallets["owner"], netuid, bundle_root, place)
            assert (again.head, again.appended, again.committed) == (done.head, 0, False)

    asyncio.run(play())
