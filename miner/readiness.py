"""Readiness: what a newcomer has, what is missing, and the exact command lines that come next.

`agon-miner init` prints it. It reads wallet files and the chain, and spends nothing; only a development
network gives a new wallet its first coins.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from miner.register import require_subnet
from shared.errors import AgonError
from shared.protocol.wire import Wire
from shared.settings import Settings
from shared.types import Coldkey, Hotkey, Uid

if TYPE_CHECKING:
    from shared.chain.client import ChainClient

DEV_GRANT_TAO = 100
"""What a development network gives to a new wallet."""


class Readiness(Wire):
    """How far a miner is."""

    network: str
    head: int
    netuid: int | None
    wallet: str
    hotkey: Hotkey | None
    """None while there is no wallet."""
    coldkey: Coldkey | None
    balance_tao: Decimal | None
    price_tao: Decimal | None
    """None without a subnet."""
    uid: Uid | None
    """None while the hotkey is not registered."""
    bundle: str | None
    next: tuple[str, ...]
    """Command lines, in order."""


async def assess(chain: ChainClient, settings: Settings) -> Readiness:
    """Read wallet and chain. Raises AgonError `not_found` for a subnet that does not exist."""
    keys = _find_keys(settings)
    netuid = settings.netuid
    price = uid = None
    if netuid is not None:
        await require_subnet(chain, netuid)
        price = await chain.registration_price_tao(netuid)
        uid = await chain.uid_of(netuid, keys[0]) if keys else None
    balance = await chain.balance_tao(keys[1]) if keys else None
    head = (await chain.head()).number
    return Readiness(
        network=settings.require_network(),
        head=head,
        netuid=netuid,
        wallet=f"{settings.wallet}/{settings.wallet_hotkey}",
        hotkey=keys[0] if keys else None,
        coldkey=keys[1] if keys else None,
        balance_tao=balance,
        price_tao=price,
        uid=uid,
        bundle=str(settings.bundle) if settings.bundle else None,
        next=_next_lines(settings, has_wallet=keys is not None, price=price, balance=balance, uid=uid),
    )


async def create_wallet(chain: ChainClient, settings: Settings) -> None:
    """Create an unencrypted wallet on a development network and give it its first coins.

    Keys that exist are kept. Raises AgonError `settings_invalid` on any other network.
    """
    from shared.chain.dev_wallets import create_dev_wallet, dev_account
    from shared.chain.wallets import coldkey_of

    coldkey = coldkey_of(create_dev_wallet(settings))
    if not await chain.balance_tao(coldkey):
        await chain.transfer(dev_account(), coldkey, DEV_GRANT_TAO)


def _find_keys(settings: Settings) -> tuple[Hotkey, Coldkey] | None:
    from shared.chain.wallets import coldkey_of, hotkey_of, open_wallet

    try:
        wallet = open_wallet(settings, need="public")
        return hotkey_of(wallet), coldkey_of(wallet)
    except (AgonError, FileNotFoundError):
        return None


def _next_lines(
    settings: Settings, *, has_wallet: bool, price: Decimal | None, balance: Decimal | None, uid: Uid | None
) -> tuple[str, ...]:
    who = f"-w {settings.wallet} -H {settings.wallet_hotkey}"
    where = f"-n {settings.network} --netuid {settings.netuid or 'NETUID'} {who}"
    lines = []
    if not has_wallet:
        create = f"btcli wallet create -w {settings.wallet} -H {settings.wallet_hotkey}"
        lines.append(f"agon-miner init {where} --create-wallet" if settings.allows_file_locators else create)
    elif price is not None and balance is not None and uid is None and balance < price:
        lines.append(f"# send {price - balance} TAO or more to the coldkey, then:")
    if uid is None:
        lines.append(f"agon-miner register {where}")
    lines += [
        "agon-miner package CHECKPOINT_DIR --out PACKAGE_DIR",
        "agon-miner check PACKAGE_DIR --bundle BUNDLE_DIR",
        f"agon-miner submit PACKAGE_DIR {where} --bundle BUNDLE_DIR --locator file:NAME",
    ]
    return tuple(lines)
