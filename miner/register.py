"""Registering a hotkey: the price is known before anything is paid, and never exceeded.

`agon-miner register` and `agon-miner price` call it. A hotkey that is registered already is a success
that costs nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from shared.errors import AgonError
from shared.protocol.wire import Wire
from shared.types import Coldkey, Hotkey, Netuid, Uid

if TYPE_CHECKING:
    from shared.chain.client import ChainClient


class Quote(Wire):
    """What registering costs a wallet now."""

    hotkey: Hotkey
    uid: Uid | None
    """None while it is not registered."""
    price_tao: Decimal
    balance_tao: Decimal
    """Free balance of the coldkey, which pays."""


async def quote(chain: ChainClient, netuid: Netuid, *, hotkey: Hotkey, coldkey: Coldkey) -> Quote:
    """Price, balance and whether there is anything to pay for. Raises AgonError `not_found`."""
    await require_subnet(chain, netuid)
    return Quote(
        hotkey=hotkey,
        uid=await chain.uid_of(netuid, hotkey),
        price_tao=await chain.registration_price_tao(netuid),
        balance_tao=await chain.balance_tao(coldkey),
    )


async def require_subnet(chain: ChainClient, netuid: Netuid) -> None:
    """Raise AgonError `not_found` when the chain has no such subnet."""
    if not await chain.subnet_exists(netuid):
        raise AgonError("not_found", f"subnet {netuid} does not exist", help="check --netuid")


def require_affordable(offer: Quote, max_burn_tao: Decimal | None) -> None:
    """Raise AgonError `price_too_high` or `insufficient_balance` before anything is asked or paid."""
    if max_burn_tao is not None and offer.price_tao > max_burn_tao:
        message = f"registration costs {offer.price_tao} TAO, more than {max_burn_tao}"
        raise AgonError("price_too_high", message)
    if offer.price_tao > offer.balance_tao:
        message = f"registration costs {offer.price_tao} TAO; the coldkey holds {offer.balance_tao}"
        raise AgonError("insufficient_balance", message)
