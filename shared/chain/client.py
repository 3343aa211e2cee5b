"""Agon's chain: what `connect` hands to loops and command lines.

Adds to the reads the stream of final blocks and every write. With `reads.py` it is the only code that
talks to `bittensor.Client`; it decides nothing, and every SDK error leaves as one of ours (`border.py`).
A write returns once its block is final; when the connection dies on the way, the caller asks the chain
before it sends anything again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any, cast

import bittensor as bt
import stamina
import structlog

from shared.chain.border import chain_border
from shared.chain.commitment import MAX_COMMITMENT_BYTES
from shared.chain.reads import ChainReads
from shared.chain.records import Head, Receipt, WeightReceipt, quantise_weights
from shared.chain.wallets import hotkey_of
from shared.errors import AgonError, TransientError
from shared.types import BlockNumber, Coldkey, Hotkey, Netuid, Uid

log = structlog.get_logger()

REOPEN_DELAY_S = 1.0
REOPEN_MAX_WAIT_S = 30.0


class ChainClient(ChainReads):
    """Reads, final blocks and writes over one open connection."""

    # Following ------------------------------------------------------------------

    async def finalised(self) -> AsyncIterator[Head]:
        """Final blocks as they come, for ever. May repeat or skip blocks; re-opened after a drop.

        They only wake the caller: what is due follows from the ledger, not from which heads were seen.
        """
        while True:
            try:
                with chain_border("follow the chain"):
                    stream = cast(
                        AsyncGenerator[dict[str, Any], None], self._substrate.blocks(finalized=True)
                    )
                    async with aclosing(stream) as blocks:
                        async for block in blocks:
                            yield await self._head(int(block["header"]["number"]))
            except TransientError as error:
                log.warning("chain connection lost", reason=error.message)
            await asyncio.sleep(REOPEN_DELAY_S)
            await self._wait_until_reachable()

    @stamina.retry(on=TransientError, attempts=None, timeout=None, wait_max=REOPEN_MAX_WAIT_S)
    async def _wait_until_reachable(self) -> None:
        await self.head()

    async def wait_for_block(self, number: int) -> Head:
        """The first final block seen at or after height `number`."""
        stream = cast(AsyncGenerator[Head, None], self.finalised())
        async with aclosing(stream) as heads:
            async for head in heads:
                if head.number >= number:
                    return head
        raise AssertionError("the stream of final blocks never ends")

    # Writes by the hotkey -------------------------------------------------------

    async def commit(self, wallet: bt.Wallet, netuid: Netuid, text: str) -> Receipt:
        """Put `text` into the hotkey's commitment slot, replacing what was there. Free of charge."""
        data = text.encode("ascii")
        if not 0 < len(data) <= MAX_COMMITMENT_BYTES:
            raise ValueError(f"a commitment has 1 to {MAX_COMMITMENT_BYTES} bytes, not {len(data)}")
        call = bt.calls.Commitments.set_commitment(
            netuid=netuid, info={"fields": [[{f"Raw{len(data)}": data}]]}
        )
        with chain_border("commit"):
            result = await self._client.submit_call(call, wallet, signer="hotkey")
            return _receipt(result.raise_for_failure())

    async def set_weights(
        self, wallet: bt.Wallet, netuid: Netuid, weights: Mapping[Uid, float], version_key: int
    ) -> WeightReceipt:
        """Send the hotkey's weights, plain or sealed as the subnet demands.

        Raises ValueError for weights that are not finite, negative or all zero, before anything is sent.
        """
        values = quantise_weights(weights)
        intent = bt.SetWeights(
            netuid=netuid, weights={uid: weights[uid] for uid in values}, version_key=version_key
        )
        with chain_border("set weights"):
            result = (await self._client.execute(intent, wallet)).raise_for_failure()
        reveal = result.data.get("reveal_round")
        return WeightReceipt(_receipt(result), values, None if reveal is None else int(reveal))

    # Writes by the coldkey ------------------------------------------------------

    async def register(
        self, wallet: bt.Wallet, netuid: Netuid, *, max_price_tao: Decimal | float | None = None
    ) -> Uid:
        """Register the wallet's hotkey and return its uid; one that is registered already pays nothing.

        Raises AgonError `price_too_high` when the price is above `max_price_tao`.
        """
        hotkey = hotkey_of(wallet)
        found = await self.uid_of(netuid, hotkey)
        if found is not None:
            return found
        price = await self.registration_price_tao(netuid)
        if max_price_tao is not None and price > max_price_tao:
            raise AgonError("price_too_high", f"registration costs {price} TAO, more than {max_price_tao}")
        await self._execute("register", bt.BurnedRegister(netuid=netuid, hotkey_ss58=hotkey), wallet)
        uid = await self.uid_of(netuid, hotkey)
        if uid is None:
            raise TransientError("not_registered", f"{hotkey} was registered and is gone again")
        return uid

    async def create_subnet(self, wallet: bt.Wallet) -> Netuid:
        """Create a subnet owned by the wallet, its hotkey at uid 0. Costs `subnet_price_tao`."""
        intent = bt.RegisterSubnet(hotkey_ss58=hotkey_of(wallet))
        result = await self._execute("create a subnet", intent, wallet)
        return Netuid(int(result.data["netuid"]))

    async def start_subnet(self, wallet: bt.Wallet, netuid: Netuid) -> Receipt:
        """Open stake and emission of a subnet: its owner's start call, once."""
        return _receipt(await self._execute("start the subnet", bt.StartCall(netuid=netuid), wallet))

    async def add_stake(
        self, wallet: bt.Wallet, netuid: Netuid, amount_tao: Decimal | float, hotkey: Hotkey
    ) -> Receipt:
        """Stake TAO of the coldkey on a hotkey."""
        intent = bt.AddStake(hotkey_ss58=hotkey, netuid=netuid, amount_tao=amount_tao)
        return _receipt(await self._execute("add stake", intent, wallet))

    async def set_hyperparameter(
        self, wallet: bt.Wallet, netuid: Netuid, name: str, value: int | float | str
    ) -> Receipt:
        """Set one of the subnet owner's hyperparameters; ints are raw units."""
        intent = bt.SetHyperparameter(netuid=netuid, name=name, value=value)
        return _receipt(await self._execute(f"set {name}", intent, wallet))

    async def transfer(self, wallet: bt.Wallet, to: Coldkey, amount_tao: Decimal | float) -> Receipt:
        """Send TAO to another coldkey, keeping the sender alive."""
        return _receipt(
            await self._execute("transfer", bt.Transfer(dest_ss58=to, amount_tao=amount_tao), wallet)
        )

    async def _execute(self, doing: str, intent: bt.Intent, wallet: bt.Wallet) -> bt.ExtrinsicResult:
        with chain_border(doing):
            return (await self._client.execute(intent, wallet)).raise_for_failure()


def _receipt(result: bt.ExtrinsicResult) -> Receipt:
    height, _, _ = (result.extrinsic_id or "").partition("-")
    return Receipt(
        block=BlockNumber(int(height)) if height.isdecimal() else None,
        extrinsic=result.extrinsic_id,
        fee_rao=None if result.fee is None else int(result.fee.rao),
    )
