"""Wallets for development networks: unencrypted ones, and the funded accounts that such chains start with.

`agon-miner init --create-wallet` and the demo call it. Callers make sure that the network is embedded or
local: an unencrypted coldkey must never hold real money.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import bittensor as bt
from bittensor.sp_core import Keypair

from shared.errors import AgonError
from shared.settings import Settings


@dataclass(frozen=True)
class _DevAccount:
    """The three keys that the SDK takes for a wallet."""

    coldkey: Keypair
    coldkeypub: Keypair
    hotkey: Keypair
    hotkeypub: Keypair


def create_dev_wallet(settings: Settings) -> bt.Wallet:
    """Create the wallet that the settings name, without a password; keys that exist are kept.

    Raises AgonError `settings_invalid` unless the network is embedded or local.
    """
    if not settings.allows_file_locators:
        raise AgonError(
            "settings_invalid",
            f"unencrypted wallets are for embedded and local networks, not {settings.require_network()!r}",
            help="create one with `btcli wallet create`",
        )
    wallet = bt.Wallet(settings.wallet, settings.wallet_hotkey, str(settings.wallet_path))
    if not wallet.coldkeypub_file.exists_on_device():
        wallet.create_new_coldkey(use_password=False, suppress=True)
    if not wallet.hotkey_file.exists_on_device():
        wallet.create_new_hotkey(use_password=False, suppress=True)
    return wallet


def dev_account(uri: str = "//Alice") -> bt.Wallet:
    """A development account by its URI, wherever the chain takes a wallet."""
    key = Keypair.create_from_uri(uri)
    # the SDK accepts anything that carries these keys (bittensor.KeyedWallet)
    return cast(bt.Wallet, _DevAccount(key, key, key, key))
