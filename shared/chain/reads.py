"""Typed reads of one chain: heads, hashes, neurons, commitments, weights and a subnet's numbers.

The read half of `ChainClient`; nothing else uses it directly. What decides slots or money takes a block
and is pinned to it. Values come from storage items, never from the SDK's convenience records, which
change with time (a commitment's `.data` does when a timelock opens).
"""

from __future__ import annotations

from collections.abc import Awaitable
from decimal import Decimal
from typing import Any, TypeVar

import bittensor as bt
from bittensor.hyperparams import STORAGE_ITEMS

from shared.chain.border import chain_border
from shared.chain.records import RAO, CommitmentRecord, Head, Neuron, decode_commitment
from shared.errors import AgonError
from shared.types import BlockNumber, Coldkey, Hotkey, Netuid, Uid

T = TypeVar("T")
SUBTENSOR = "SubtensorModule"


class ChainReads:
    """Reads over one open connection."""

    def __init__(self, substrate: bt.Substrate, network: str) -> None:
        """`substrate` must be open; `network` is only a label of the SDK's."""
        self._substrate = substrate
        self._client = bt.Client(network, substrate=substrate)

    # Plumbing -------------------------------------------------------------------

    async def _read(self, doing: str, waiting: Awaitable[T]) -> T:
        with chain_border(doing):
            return await waiting

    async def _query(self, item: str, *params: Any, block: int | None = None) -> Any:
        """One storage item of SubtensorModule, or of the pallet named as `Pallet.Item`."""
        pallet, _, name = item.rpartition(".")
        query = self._client.query((pallet or SUBTENSOR, name), list(params), block=block)
        return await self._read(f"read {item}", query)

    async def _map(self, item: str, *params: Any, block: int | None = None) -> list[tuple[Any, Any]]:
        pallet, _, name = item.rpartition(".")
        query = self._client.query_map((pallet or SUBTENSOR, name), list(params), block=block)
        return list(await self._read(f"read all {item}", query))

    async def _has_item(self, item: str, *params: Any) -> bool:
        """Whether the runtime knows a storage item; older ones lack what the SDK asks for."""
        try:
            return await self._query(item, *params) is not None
        except AgonError as error:
            if error.code != "chain_rejected":
                raise
            return False

    # Blocks ---------------------------------------------------------------------

    async def head(self) -> Head:
        """The newest block, which may still be replaced."""
        number = await self._read("read the head", self._client.block())
        return await self._head(number)

    async def finalised_head(self) -> Head:
        """The newest final block."""
        number = await self._read("read the finalised head", self._client.finalized_block())
        return await self._head(number)

    async def _head(self, number: int) -> Head:
        return Head(BlockNumber(number), await self._read("read a hash", self._substrate.block_hash(number)))

    async def block_hash(self, number: int) -> str | None:
        """Hash of a block; None while the chain has not reached it."""
        if number > await self._read("read the head", self._client.block()):
            return None
        found: str | None = await self._read(f"read hash {number}", self._substrate.block_hash(number))
        return found

    async def genesis_hash(self) -> str:
        """Hash of block 0: which chain this is."""
        return str(await self._read("read the genesis hash", self._substrate.block_hash(0)))

    async def block_time_s(self) -> float:
        """Seconds from one block to the next."""
        return float(await self._read("read the block time", self._client.block_time()))

    # Neurons --------------------------------------------------------------------

    async def neurons(self, netuid: Netuid, block: int | None = None) -> list[Neuron]:
        """All neurons in order of uid, at `block` or the head. Raises AgonError `not_found`."""
        reading = self._client.subnets.metagraph(netuid, block, commitments=False)
        graph = await self._read("read the metagraph", reading)
        if graph is None:
            raise AgonError("not_found", f"subnet {netuid} does not exist", help="check --netuid")
        return [_neuron(row) for row in graph.neurons]

    async def uid_of(self, netuid: Netuid, hotkey: Hotkey, block: int | None = None) -> Uid | None:
        """The hotkey's uid; None when it is not registered."""
        uid = await self._query("Uids", netuid, hotkey, block=block)
        return None if uid is None else Uid(int(uid))

    async def uids_at(self, netuid: Netuid, block: int) -> dict[Hotkey, Uid]:
        """Every registered hotkey and its uid, pinned at `block`."""
        return {Hotkey(str(key)): Uid(int(uid)) for key, uid in await self._map("Uids", netuid, block=block)}

    async def owner_hotkey(self, netuid: Netuid, block: int | None = None) -> Hotkey:
        """Hotkey of the subnet's owner: author of its governance log, and its uid burns."""
        return Hotkey(str(await self._query("SubnetOwnerHotkey", netuid, block=block)))

    async def owner_coldkey(self, netuid: Netuid) -> Coldkey:
        """Coldkey of the subnet's owner."""
        return Coldkey(str(await self._query("SubnetOwner", netuid)))

    # Commitments ----------------------------------------------------------------

    async def commitments_at(self, netuid: Netuid, block: int) -> list[CommitmentRecord]:
        """Live commitments pinned at `block`, registered or not, ordered by hotkey."""
        rows = await self._map("Commitments.CommitmentOf", netuid, block=block)
        records = (decode_commitment(str(hotkey), value) for hotkey, value in rows)
        return sorted((item for item in records if item is not None), key=lambda item: item.hotkey)

    async def commitment_of(
        self, netuid: Netuid, hotkey: Hotkey, block: int | None = None
    ) -> CommitmentRecord | None:
        """The hotkey's live commitment, at `block` or the head."""
        return decode_commitment(
            hotkey, await self._query("Commitments.CommitmentOf", netuid, hotkey, block=block)
        )

    # Weights --------------------------------------------------------------------

    async def weights_row(self, netuid: Netuid, uid: Uid) -> dict[Uid, int]:
        """The u16 weights that `uid` has set; empty before the first."""
        return {Uid(int(to)): int(value) for to, value in await self._query("Weights", netuid, uid) or ()}

    async def last_update(self, netuid: Netuid, uid: Uid) -> BlockNumber:
        """Block of the uid's last weights (or commit of weights), or of its registration."""
        blocks = await self._query("LastUpdate", netuid) or []
        return BlockNumber(int(blocks[uid]) if uid < len(blocks) else 0)

    async def commit_reveal_enabled(self, netuid: Netuid) -> bool:
        """Whether the subnet takes weights sealed only."""
        return bool(await self._query("CommitRevealWeightsEnabled", netuid))

    async def weights_rate_limit(self, netuid: Netuid) -> int:
        """Blocks that must pass between two sets of weights."""
        return int(await self._query("WeightsSetRateLimit", netuid) or 0)

    async def activity_cutoff_blocks(self, netuid: Netuid) -> int:
        """Blocks after which weights stop counting: factor x tempo, or the older fixed number."""
        if await self._has_item("ActivityCutoffFactorMilli", netuid):
            factor_milli = int(await self._query("ActivityCutoffFactorMilli", netuid))
            return factor_milli * await self.tempo(netuid) // 1000
        return int(await self._query("ActivityCutoff", netuid) or 0)

    # Subnets and money ----------------------------------------------------------

    async def tempo(self, netuid: Netuid) -> int:
        """Blocks of one epoch."""
        return int(await self._query("Tempo", netuid) or 0)

    async def subnet_exists(self, netuid: Netuid) -> bool:
        """Whether the chain has this subnet."""
        return bool(await self._query("NetworksAdded", netuid))

    async def subnet_started(self, netuid: Netuid) -> bool:
        """Whether the owner's start call was made, so that stake and emission are open."""
        return await self._query("FirstEmissionBlockNumber", netuid) is not None

    async def subnets_of(self, coldkey: Coldkey) -> list[Netuid]:
        """Subnets that this coldkey owns, in order."""
        rows = await self._map("SubnetOwner")
        return sorted(Netuid(int(netuid)) for netuid, owner in rows if str(owner) == coldkey)

    async def hyperparameter(self, netuid: Netuid, name: str) -> Any:
        """The raw value of a hyperparameter by the SDK's name; KeyError for an unknown one."""
        pallet, item = STORAGE_ITEMS[name][:2]
        return await self._query(f"{pallet}.{item}", netuid)

    async def subnet_price_tao(self) -> Decimal:
        """What creating a subnet costs now."""
        reading = self._client.read("subnet_registration_cost")
        return _tao(await self._read("read the price of a subnet", reading))

    async def registration_price_tao(self, netuid: Netuid) -> Decimal:
        """What registering one hotkey costs now."""
        return Decimal(int(await self._query("Burn", netuid) or 0)) / RAO

    async def balance_tao(self, coldkey: Coldkey) -> Decimal:
        """Free balance of a coldkey."""
        return _tao(await self._read("read a balance", self._client.balances.get(coldkey)))


def _tao(balance: bt.Balance) -> Decimal:
    return Decimal(balance.rao) / RAO


def _neuron(row: bt.MetagraphNeuron) -> Neuron:
    return Neuron(
        uid=Uid(row.uid),
        hotkey=Hotkey(row.hotkey),
        coldkey=Coldkey(row.coldkey),
        registered_block=BlockNumber(row.block_at_registration),
        validator_permit=row.validator_permit,
        active=row.active,
        stake_rao=row.total_stake.rao,
        last_update=BlockNumber(row.last_update),
        incentive=row.incentive,
        dividends=row.dividends,
        emission_rao=row.emission.rao,
    )
