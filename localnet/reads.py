"""The reading half of the embedded substrate: blocks, storage, runtime APIs and events.

Translates only. Every look at the chain first makes the block that is due, and every blocking call runs
in a worker thread, so an event loop is never held up by SQLite.
"""

# The signatures are the SDK's; not every argument means something here.
# ruff: noqa: ARG002

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from bittensor import Balance

from localnet import apis, views
from localnet.chain import Block, Chain
from localnet.extrinsic import SPEC_VERSION

T = TypeVar("T")
MIN_POLL_S, MAX_POLL_S = 0.002, 0.25
INSTANT_BLOCK_TIME_S = 0.25


class ChainReads:
    """Everything of the `bittensor.Substrate` protocol that does not submit."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.token_symbols: dict[int, str] = {}
        self._poll_s = min(MAX_POLL_S, max(MIN_POLL_S, chain.genesis.block_time_s / 8))

    def balance(self, rao: int, netuid: int = 0) -> Balance:
        """A Balance with this chain's token symbol."""
        return Balance(int(rao), netuid, self.token_symbols.get(netuid) if netuid else None)

    async def connect(self) -> None:
        """Open the file again if this handle was closed; the constructor opened it the first time."""
        if self.chain.closed:
            self.chain = self.chain.reopen()

    async def close(self) -> None:
        """Close this process's handle."""
        await asyncio.to_thread(self.chain.close)

    async def _look(self, query: Callable[[], T]) -> T:
        """Make the due block, then run a blocking query, both in a worker thread."""

        def make_and_run() -> T:
            self.chain.make_due_block()
            return query()

        return await asyncio.to_thread(make_and_run)

    async def _view(self, block_hash: str | None, read: Callable[..., Any], *args: Any) -> Any:
        """Run one of `views` on the state of a block (the head if None)."""

        def query() -> Any:
            number = None if block_hash is None else self.chain.number_of(block_hash)
            return self.chain.read(number, lambda state: read(state, *args))

        return await self._look(query)

    async def block_hash(self, block: int | None = None) -> str:
        """Hash of a block, the head's if None; ChainError if it does not exist."""
        return await self._look(lambda: self.chain.hash_of(self.chain.head() if block is None else block))

    async def block_number(self) -> int:
        """Number of the head."""
        return await self._look(self.chain.head)

    async def finalized_block_number(self) -> int:
        """The head: a block of this chain is final at once."""
        return await self.block_number()

    async def block_time(self) -> float:
        """Seconds per block; a chain that seals on demand reports 0.25."""
        return self.chain.genesis.block_time_s or INSTANT_BLOCK_TIME_S

    async def spec_version(self) -> int:
        """The runtime's version."""
        return SPEC_VERSION

    async def get_block(
        self, block_number: int | None = None, block_hash: str | None = None
    ) -> dict[str, Any] | None:
        """A block's header and extrinsics, the timestamp first; None if it does not exist."""

        def query() -> Block | None:
            if block_hash is not None:
                return self.chain.block(self.chain.number_of(block_hash))
            return self.chain.block(self.chain.head() if block_number is None else block_number)

        block = await self._look(query)
        return None if block is None else {"header": _header(block), "extrinsics": _extrinsics(block)}

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any:
        """One storage value, its default, or None."""
        return await self._view(block_hash, views.read_item, module, storage_function, list(params or []))

    async def map_has_entries(
        self, module: str, storage_function: str, params: list[Any], block_hash: str | None = None
    ) -> bool:
        """Whether a map has anything below the given keys."""
        return bool(await self.query_map(module, storage_function, params, block_hash))

    async def query_map(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> list[tuple[Any, Any]]:
        """Every (key, value) of a map below the given keys."""
        rows = await self._view(block_hash, views.read_map, module, storage_function, list(params or []))
        return list(rows)

    async def query_batch(
        self, module: str, storage_function: str, param_sets: list[list[Any]], block_hash: str | None = None
    ) -> list[Any]:
        """One storage item under many keys, in their order and all at one block."""

        def read_all(state: Any) -> list[Any]:
            return [views.read_item(state, module, storage_function, list(keys)) for keys in param_sets]

        return list(await self._view(block_hash, read_all))

    async def runtime_call(self, api: str, method: str, params: Any, block_hash: str | None = None) -> Any:
        """A runtime API's answer."""
        return await self._view(block_hash, apis.call_api, api, method, params)

    async def constant(self, module: str, name: str) -> Any:
        """A pallet constant; None if this chain has none of that name."""
        genesis = self.chain.genesis
        return {
            "Balances.ExistentialDeposit": genesis.existential_deposit_rao,
            "Aura.SlotDuration": int(await self.block_time() * 1_000),
            "SubtensorModule.InitialStartCallDelay": genesis.start_call_delay,
        }.get(f"{module}.{name}")

    async def decode_scale(self, type_string: str, data: Any) -> Any:
        """Not available: this chain does not encode with SCALE."""
        unsupported("decode_scale")

    async def blocks(self, *, finalized: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Every header from the head on, in order and without gaps."""
        number = await self.block_number()
        while True:
            block = await self._look(partial(self.chain.block, number))
            if block is None:
                await asyncio.sleep(self._poll_s)
                continue
            yield {"header": _header(block)}
            number += 1

    async def events(self, block_hash: str | None = None) -> list[dict[str, Any]]:
        """Event records of a block."""

        def query() -> list[dict[str, Any]]:
            number = self.chain.head() if block_hash is None else self.chain.number_of(block_hash)
            block = self.chain.block(number)
            return [] if block is None else block.events

        return await self._look(query)


def unsupported(name: str) -> NoReturn:
    """Raise: this chain has no such flow."""
    raise NotImplementedError(f"the embedded chain does not offer {name}")


def _header(block: Block) -> dict[str, Any]:
    return {"number": block.number, "hash": block.hash, "parentHash": block.parent}


def _extrinsics(block: Block) -> list[dict[str, Any]]:
    stamp = {
        "call": {
            "call_index": "0x0200",
            "call_function": "set",
            "call_module": "Timestamp",
            "call_args": [{"name": "now", "type": "Moment", "value": block.timestamp_ms}],
        }
    }
    return [stamp, *block.extrinsics]
