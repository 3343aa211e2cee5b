"""Opens the wallet that the settings name, and says in one sentence what is missing.

Command lines call it once and hand the wallet down. Only the keys that a command needs are looked at:
reading needs the public files, miners and validators their hotkey, spending the coldkey.
"""

from __future__ import annotations

import sys
from typing import Literal

import bittensor as bt
from bittensor.sp_core import KeyfileError, WrongPasswordError
from bittensor.wallets import resolve_wallet_password

from shared.errors import AgonError
from shared.settings import Settings
from shared.types import Coldkey, Hotkey

Wallet = bt.Wallet
"""The SDK's wallet, under a name that the packages above may import."""

Need = Literal["public", "hotkey", "coldkey"]


def open_wallet(settings: Settings, *, need: Need = "hotkey") -> Wallet:
    """The wallet of the settings, its needed key checked; a person is asked for a password when it signs.

    Raises AgonError `wallet_missing` when a file is not there, `wallet_locked` when its password is
    missing and nobody can be asked, or is wrong.
    """
    try:
        wallet = bt.Wallet(settings.wallet, settings.wallet_hotkey, str(settings.wallet_path))
    except ValueError as error:
        raise AgonError("settings_invalid", str(error)) from error
    name = f"{settings.wallet}/{settings.wallet_hotkey}"
    try:
        _unlock(wallet, need)
    except (FileNotFoundError, PermissionError) as error:
        raise AgonError("wallet_missing", f"wallet {name} in {settings.wallet_path}: {error}") from error
    except (KeyfileError, WrongPasswordError, ValueError) as error:
        raise AgonError("wallet_locked", f"wallet {name} cannot be opened: {error}") from error
    return wallet


def hotkey_of(wallet: Wallet) -> Hotkey:
    """Address of the wallet's hotkey, from its public file where there is one."""
    try:
        return Hotkey(str(wallet.hotkeypub.ss58_address))
    except FileNotFoundError:
        return Hotkey(str(wallet.hotkey.ss58_address))


def coldkey_of(wallet: Wallet) -> Coldkey:
    """Address of the wallet's coldkey, from its public file."""
    return Coldkey(str(wallet.coldkeypub.ss58_address))


def _unlock(wallet: Wallet, need: Need) -> None:
    if need == "public":
        hotkey_of(wallet)
    elif need == "hotkey":
        _ask_only_people(wallet.hotkey_file.is_encrypted(), None)
        wallet.get_hotkey()
    else:
        hotkey_of(wallet)
        password = resolve_wallet_password(wallet)
        _ask_only_people(wallet.coldkey_file.is_encrypted(), password)
        if password is not None or not wallet.coldkey_file.is_encrypted():
            wallet.get_coldkey(password=password)
        # Otherwise the SDK asks at the first signature; asking here too would ask twice.


def _ask_only_people(encrypted: bool, password: str | None) -> None:
    if encrypted and password is None and not sys.stdin.isatty():
        raise KeyfileError("its key is encrypted and no password was given")
