"""The embedded chain behind the SDK's own `bittensor.Substrate` protocol.

`bittensor.Client(substrate=LocalSubstrate(path))` runs the SDK's reads, intents and executor unmodified,
from any number of processes. This file is the writing half: compose, sign, submit, wait. Rules live in
the runtime, files in the chain.
"""

# The signatures are the SDK's; not every argument means something here.
# ruff: noqa: ARG002

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from bittensor import Balance, ChainError, ExtrinsicResult

from localnet import views
from localnet.chain import Chain, Clock
from localnet.extrinsic import LocalCall, SignedCall, sign_call, to_plain
from localnet.reads import ChainReads, unsupported
from localnet.runtime import check_call, fee_rao

NONCE_ATTEMPTS = 8


class LocalSubstrate(ChainReads):
    """One process's view of a chain file, in the shape the SDK asks for.

    Raises FileNotFoundError when the file does not exist: `create_chain` or `agon-localnet start` makes it.
    `clock` returns Unix seconds; tests hand in their own.
    """

    def __init__(self, path: Path, *, clock: Clock = time.time) -> None:
        super().__init__(Chain(Path(path), clock))

    def advance(self, count: int) -> int:
        """Make `count` blocks at once and return the new head; a development tool."""
        return self.chain.advance(count)

    # Calls and fees ---------------------------------------------------------------

    async def compose(self, call: Any) -> LocalCall:
        """Turn a generated (module, function, params) into a call of this chain."""
        if isinstance(call, LocalCall):
            return call
        module, function, params = call
        check_call(module, function)
        try:
            return LocalCall(module, function, to_plain(dict(params)))
        except TypeError as error:
            raise ChainError(f"{module}.{function}: {error}") from error

    async def estimate_fee(self, call: Any, keypair: Any) -> Balance:
        """The flat fee of a call."""
        composed = await self.compose(call)
        return self.balance(await self._view(None, lambda state: fee_rao(state, composed)))

    async def estimate_weight(self, call: Any, keypair: Any) -> dict[str, int]:
        """Weights do not limit this chain."""
        return {"ref_time": 0, "proof_size": 0}

    async def account_next_index(self, address: str) -> int:
        """Next free nonce, pool included."""
        return await self._look(lambda: self.chain.next_nonce(address))

    # Writes -----------------------------------------------------------------------

    async def mev_next_key(self) -> bytes | None:
        """A key to seal with. It is well formed and opens nothing: the chain knows what it sealed."""
        return bytes(views.MEV_KEY_BYTES)

    async def _sign(self, call: Any, keypair: Any, nonce: int, period: int | None) -> SignedCall:
        composed = await self.compose(call)
        birth = await self.block_number()
        unsigned = SignedCall(
            call=composed,
            signer=str(keypair.ss58_address),
            crypto_type=int(keypair.crypto_type),
            nonce=nonce,
            birth=birth,
            period=period,
            genesis_hash=self.chain.genesis_hash,
            signature="",
        )
        return await sign_call(unsigned, keypair)

    async def sign_extrinsic(self, call: Any, keypair: Any, *, nonce: int, period: int) -> tuple[bytes, str]:
        """A signed extrinsic's (bytes, hash); kept, so that a shield carrier can release it."""
        signed = await self._sign(call, keypair, nonce, period)
        await asyncio.to_thread(self.chain.shield, signed)
        return signed.raw, signed.hash

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> ExtrinsicResult | None:
        """Outcome of an extrinsic in one block, or None if the block does not carry it."""

        def query() -> ExtrinsicResult | None:
            found = self.chain.receipt(extrinsic_hash)
            if found is None or found[0] != self.chain.number_of(block_hash):
                return None
            return self._result(found)

        return await self._look(query)

    async def submit(
        self,
        call: Any,
        keypair: Any,
        *,
        nonce: int | None = None,
        period: int | None = 128,
        wait_for_inclusion: bool = True,
        wait_for_finalization: bool = True,
    ) -> ExtrinsicResult:
        """Sign, submit and wait for a call; without a nonce, the next free one is taken."""
        waits = wait_for_inclusion or wait_for_finalization
        for attempt in range(1, NONCE_ATTEMPTS + 1):
            own = await self.account_next_index(str(keypair.ss58_address)) if nonce is None else nonce
            signed = await self._sign(call, keypair, own, period)
            try:
                await self._look(partial(self.chain.submit, signed.raw))
            except ChainError as error:
                raced = nonce is None and ("too low:" in error.message or "outdated" in error.message)
                if raced and attempt < NONCE_ATTEMPTS:
                    continue
                return ExtrinsicResult(success=False, message=error.message, error=error)
            return await self._wait(signed.hash, waits)
        raise AssertionError("unreachable")

    async def submit_signed(
        self,
        extrinsic: Any,
        keypair: Any,
        *,
        wait_for_inclusion: bool = True,
        wait_for_finalization: bool = True,
    ) -> ExtrinsicResult:
        """Submit an extrinsic that was signed elsewhere (an object with its bytes in `.data`)."""
        raw = bytes(extrinsic.data)
        try:
            extrinsic_hash = await self._look(lambda: self.chain.submit(raw))
        except ChainError as error:
            return ExtrinsicResult(success=False, message=error.message, error=error)
        return await self._wait(extrinsic_hash, wait_for_inclusion or wait_for_finalization)

    async def _wait(self, extrinsic_hash: str, waits: bool) -> ExtrinsicResult:
        while waits:
            found = await self._look(lambda: self.chain.receipt(extrinsic_hash))
            if found is not None:
                return self._result(found)
            if not await self._look(lambda: self.chain.is_pooled(extrinsic_hash)):
                found = await self._look(lambda: self.chain.receipt(extrinsic_hash))
                if found is not None:
                    return self._result(found)
                error = ChainError(
                    "Invalid Transaction: dropped from the pool (stale nonce, expired or unpaid)"
                )
                return ExtrinsicResult(success=False, message=error.message, error=error)
            await asyncio.sleep(self._poll_s)
        return ExtrinsicResult(success=True, message="Submitted (not waiting).")

    def _result(self, found: tuple[int, int, dict[str, Any]]) -> ExtrinsicResult:
        block, index, receipt = found
        name = receipt["error"]
        error = None if name is None else ChainError(str(name), str(name))
        return ExtrinsicResult(
            success=bool(receipt["success"]),
            message="Success" if error is None else (error.description or str(name)),
            block_hash=self.chain.hash_of(block),
            extrinsic_id=f"{block}-{index:04d}",
            fee=self.balance(receipt["fee_rao"]),
            events=receipt["events"],
            error=error,
        )

    # Flows this chain does not have -------------------------------------------------

    async def prepare(self, call: Any, **options: Any) -> NoReturn:
        """Not available: signing outside the process needs SCALE payloads."""
        unsupported("prepare")

    async def submit_signature(self, unsigned: Any, signature: bytes | str, **waits: Any) -> NoReturn:
        """Not available; see `prepare`."""
        unsupported("submit_signature")

    def multisig_account(self, signatories: list[str], threshold: int) -> NoReturn:
        """Not available: the embedded chain has no Multisig pallet."""
        unsupported("multisig_account")

    async def submit_multisig(self, call: Any, keypair: Any, multisig_account: Any, **waits: Any) -> NoReturn:
        """Not available: the embedded chain has no Multisig pallet."""
        unsupported("submit_multisig")
