"""The chain client against the embedded chain: what it reads, writes and refuses."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import bittensor as bt
import pytest

from localnet.substrate import LocalSubstrate
from shared.chain.client import ChainClient
from shared.chain.commitment import Locator, encode_commitment, parse_commitment
from shared.chain.connect import connect
from shared.chain.records import CommitmentRecord, Head
from shared.chain.wallets import coldkey_of, hotkey_of, open_wallet
from shared.errors import AgonError, TransientError
from shared.settings import Settings
from shared.types import BlockNumber, Digest, Hotkey, Netuid, Uid

if TYPE_CHECKING:
    from tests.chain.conftest import World

Wallets = dict[str, bt.Wallet]
DIGEST = Digest("sha256:" + "07" * 32)


def run(world: World, play: Callable[[ChainClient, LocalSubstrate], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with world() as (chain, substrate):
            await play(chain, substrate)

    asyncio.run(opened())


async def subnet(chain: ChainClient, wallets: Wallets) -> Netuid:
    netuid = await chain.create_subnet(wallets["owner"])
    await chain.start_subnet(wallets["owner"], netuid)
    return netuid


async def code_of(waiting: Awaitable[object]) -> str:
    with pytest.raises(AgonError) as caught:
        await waiting
    return caught.value.code


def test_subnet_is_created_owned_and_joined(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        owner, first = wallets["owner"], wallets["first"]
        price = await chain.subnet_price_tao()
        before = await chain.balance_tao(coldkey_of(owner))
        netuid = await subnet(chain, wallets)
        assert before - await chain.balance_tao(coldkey_of(owner)) >= price
        assert await chain.subnet_exists(netuid)
        assert await chain.subnet_started(netuid)
        assert not await chain.subnet_exists(Netuid(77))
        assert await chain.subnets_of(coldkey_of(owner)) == [netuid]
        assert await chain.owner_hotkey(netuid) == hotkey_of(owner)
        assert await chain.uid_of(netuid, hotkey_of(owner)) == 0
        paid = await chain.registration_price_tao(netuid)
        assert paid > 0
        uid = await chain.register(first, netuid, max_price_tao=paid)
        assert await chain.uids_at(netuid, (await chain.head()).number) == {
            hotkey_of(owner): 0,
            hotkey_of(first): uid,
        }
        rows = await chain.neurons(netuid)
        assert [(row.uid, row.hotkey) for row in rows] == [(0, hotkey_of(owner)), (uid, hotkey_of(first))]
        assert await code_of(chain.neurons(Netuid(77))) == "not_found"

    run(world, play)


def test_registering_twice_pays_once_and_never_above_the_limit(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        netuid = await subnet(chain, wallets)
        first = wallets["first"]
        assert await code_of(chain.register(first, netuid, max_price_tao=Decimal(0))) == "price_too_high"
        uid = await chain.register(first, netuid)
        left = await chain.balance_tao(coldkey_of(first))
        assert await chain.register(first, netuid, max_price_tao=Decimal(0)) == uid
        assert await chain.balance_tao(coldkey_of(first)) == left

    run(world, play)


def test_commitment_is_read_as_it_was_at_each_block(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        netuid = await subnet(chain, wallets)
        first = wallets["first"]
        hotkey = hotkey_of(first)
        assert await code_of(chain.commit(first, netuid, "early")) == "chain_rejected"
        await chain.register(first, netuid)
        assert await chain.commitment_of(netuid, hotkey) is None
        texts = [encode_commitment(DIGEST, Locator("file", name)) for name in ("one", "two")]
        receipts = [await chain.commit(first, netuid, text) for text in texts]
        for text, receipt in zip(texts, receipts, strict=True):
            assert receipt.block is not None
            data = text.encode()
            record = CommitmentRecord(hotkey, receipt.block, ((f"Raw{len(data)}", data),))
            assert await chain.commitments_at(netuid, receipt.block) == [record]
            assert await chain.commitment_of(netuid, hotkey, receipt.block) == record
            assert parse_commitment(record.fields).digest == DIGEST
        assert receipts[0].block != receipts[1].block

    run(world, play)


def test_foreign_commitments_are_handed_on_and_stop_nobody(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        netuid = await subnet(chain, wallets)
        await chain.register(wallets["first"], netuid)
        fields = [[{"Raw3": b"\xff\x00\x01"}], [{"Sha256": b"\x05" * 32}]]
        call = bt.calls.Commitments.set_commitment(netuid=netuid, info={"fields": fields})
        client = bt.Client("local", substrate=substrate)
        (await client.submit_call(call, wallets["first"], signer="hotkey")).raise_for_failure()
        [record] = await chain.commitments_at(netuid, (await chain.head()).number)
        assert record.fields == (("Raw3", b"\xff\x00\x01"), ("Sha256", b"\x05" * 32))

    run(world, play)


def test_weights_arrive_as_they_were_quantised(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        netuid = await subnet(chain, wallets)
        owner = wallets["owner"]
        for name in ("first", "second"):
            await chain.register(wallets[name], netuid)
        vector = {Uid(0): 0.9, Uid(1): 0.1, Uid(2): 0.0}
        substrate.advance(await chain.weights_rate_limit(netuid))
        sent = await chain.set_weights(owner, netuid, vector, version_key=1)
        assert sent.values == {0: 65535, 1: 7282}
        assert await chain.weights_row(netuid, Uid(0)) == sent.values
        assert await chain.last_update(netuid, Uid(0)) == sent.receipt.block
        assert await code_of(chain.set_weights(owner, netuid, vector, 1)) == "rate_limited"
        outsider = bt.Wallet("second", "other", owner.path)
        outsider.create_new_hotkey(use_password=False, suppress=True)
        assert await code_of(chain.set_weights(outsider, netuid, vector, 1)) == "not_registered"
        for bad in ({Uid(0): float("nan")}, {Uid(0): -1.0, Uid(1): 1.0}, {Uid(0): 0.0}, {}):
            with pytest.raises(ValueError):
                await chain.set_weights(owner, netuid, bad, 1)

    run(world, play)


def test_final_blocks_come_with_their_hashes(world: World) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        substrate.advance(3)
        assert await chain.wait_for_block(2) == await chain.finalised_head()
        waiting = asyncio.create_task(chain.wait_for_block(7))
        substrate.advance(4)
        head = await waiting
        assert head == Head(BlockNumber(7), str(await chain.block_hash(7)))
        assert await chain.block_hash(8) is None
        assert await chain.block_hash(0) == await chain.genesis_hash()

    run(world, play)


class DroppingSubstrate(LocalSubstrate):
    """A chain whose first subscription is lost after one block."""

    drops = 1

    async def blocks(self, *, finalized: bool = False):  # type: ignore[no-untyped-def]
        async for block in super().blocks(finalized=finalized):
            yield block
            if self.drops:
                self.drops -= 1
                raise bt.ChainError("Connection lost")


def test_lost_subscription_is_opened_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.chain.client.REOPEN_DELAY_S", 0.0)

    async def play() -> None:
        substrate = DroppingSubstrate(settings.localnet)
        chain = ChainClient(substrate, "local")
        seen = []
        async for head in chain.finalised():
            seen.append(head.number)
            if len(seen) == 3:
                break
            substrate.advance(1)
        assert seen == [0, 1, 2]
        await substrate.close()

    asyncio.run(play())


def test_hyperparameters_belong_to_the_owner(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        netuid = await subnet(chain, wallets)
        await chain.set_hyperparameter(wallets["owner"], netuid, "immunity_period", 777)
        assert await chain.hyperparameter(netuid, "immunity_period") == 777
        other = chain.set_hyperparameter(wallets["first"], netuid, "immunity_period", 5)
        assert await code_of(other) == "chain_rejected"
        assert await chain.activity_cutoff_blocks(netuid) == 13_889 * await chain.tempo(netuid) // 1000

    run(world, play)


def test_spending_more_than_there_is_names_the_balance(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        first, second = wallets["first"], wallets["second"]
        await chain.transfer(first, coldkey_of(second), Decimal(10))
        assert await chain.balance_tao(coldkey_of(second)) == 1_010
        assert await code_of(chain.transfer(first, coldkey_of(second), 5_000)) == "insufficient_balance"

    run(world, play)


def test_stake_counts_for_its_hotkey(world: World, wallets: Wallets) -> None:
    async def play(chain: ChainClient, substrate: LocalSubstrate) -> None:
        netuid = await subnet(chain, wallets)
        owner = wallets["owner"]
        substrate.advance(1)
        await chain.add_stake(owner, netuid, Decimal(100), hotkey_of(owner))
        [row] = await chain.neurons(netuid)
        assert row.stake_rao > 0

    run(world, play)


def test_settings_open_the_chain_or_say_what_is_missing(settings: Settings, tmp_path: Path) -> None:
    async def reach(opened: Settings) -> Head:
        async with connect(opened) as chain:
            return await chain.head()

    assert asyncio.run(reach(settings)).number == 0
    absent = Settings.load(network="embedded", localnet=tmp_path / "absent.db")
    assert asyncio.run(code_of(reach(absent))) == "chain_unreachable"
    assert asyncio.run(code_of(reach(Settings.load()))) == "network_missing"
    closed = Settings.load(network="ws://127.0.0.1:9")
    with pytest.raises(TransientError) as caught:
        asyncio.run(reach(closed))
    assert caught.value.code == "chain_unreachable"


def test_wallet_is_opened_as_far_as_needed(
    settings: Settings, wallets: Wallets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(settings: Settings, need: str) -> str:
        with pytest.raises(AgonError) as caught:
            open_wallet(settings, need=need)  # type: ignore[arg-type]
        return caught.value.code

    assert hotkey_of(open_wallet(settings, need="coldkey")) == hotkey_of(wallets["owner"])
    Path(wallets["owner"].coldkey_file.path).unlink()
    assert coldkey_of(open_wallet(settings)) == coldkey_of(wallets["owner"])
    assert refused(settings, "coldkey") == "wallet_missing"
    # sealing a real key takes seconds; the header alone makes a keyfile an encrypted one
    sealed = bt.Wallet("sealed", "default", wallets["owner"].path)
    sealed.create_new_coldkey(use_password=False, suppress=True)
    sealed.create_new_hotkey(use_password=False, suppress=True)
    Path(sealed.coldkey_file.path).write_bytes(b"$NACL" + b"\x07" * 80)
    locked = settings.model_copy(update={"wallet": "sealed"})
    assert refused(locked, "coldkey") == "wallet_locked"
    monkeypatch.setenv("BT_WALLET_PASSWORD", "wrong")
    assert refused(locked, "coldkey") == "wallet_locked"
    assert open_wallet(locked).name == "sealed"
    assert refused(settings.model_copy(update={"wallet": "nobody"}), "public") == "wallet_missing"


class OlderSubstrate(LocalSubstrate):
    """A chain whose runtime lacks the newest storage items, as the codec reports it."""

    async def query(self, module, storage_function, params=None, block_hash=None):  # type: ignore[no-untyped-def]
        if storage_function in {"ActivityCutoffFactorMilli", "SubnetEpochConsensus"}:
            raise ValueError(f"Storage function {module}.{storage_function} not found")
        return await super().query(module, storage_function, params, block_hash)


def test_older_runtime_is_recognised(settings: Settings, wallets: Wallets) -> None:
    async def play() -> None:
        substrate = OlderSubstrate(settings.localnet)
        chain = ChainClient(substrate, "local")
        netuid = await subnet(chain, wallets)
        assert await chain.activity_cutoff_blocks(netuid) >= 0
        vector = {Uid(0): 1.0}
        assert await code_of(chain.set_weights(wallets["owner"], netuid, vector, 1)) == "chain_rejected"
        await substrate.close()

    asyncio.run(play())


def test_commitment_record_is_plain_data() -> None:
    record = CommitmentRecord(Hotkey("h"), BlockNumber(1), (("Raw1", b"a"),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.block = BlockNumber(2)  # type: ignore[misc]
