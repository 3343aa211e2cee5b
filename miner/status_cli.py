"""The command `agon-miner status`: its options and how its answer is printed.

`cli.py` registers it. It decides nothing; `status.py` asks the validator.
"""

from __future__ import annotations

from typing import Annotated

import typer

from shared.console import (
    HotkeyOption,
    JsonOption,
    WalletOption,
    WalletPathOption,
    command,
    print_fields,
    print_json,
)
from shared.settings import Settings


@command
def status(
    api: Annotated[str, typer.Option("--api", help="Address of a validator's API.", envvar="AGON_API")],
    wallet: WalletOption = None,
    wallet_hotkey: HotkeyOption = None,
    wallet_path: WalletPathOption = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="Ask for a committed digest instead of the hotkey.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a validator says about the hotkey's submissions."""
    settings = Settings.load(wallet=wallet, wallet_hotkey=wallet_hotkey, wallet_path=wallet_path)
    from miner.status import fetch_status, shown_fields
    from shared.chain.wallets import hotkey_of, open_wallet

    key = digest or hotkey_of(open_wallet(settings, need="public"))
    items = fetch_status(api, key)
    if as_json:
        print_json({"key": key, "items": items})
        return
    for item in items:
        print_fields(shown_fields(item))
        typer.echo()
