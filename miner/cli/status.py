"""The command `agon-miner status`: its options and how its answer is printed.

`main.py` registers it. It decides nothing; `status.py` asks the validator.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shared.console import (
    WHO,
    JsonOption,
    command,
    print_fields,
    print_json,
    with_settings,
)
from shared.settings import Settings


@command
@with_settings(*WHO, "api")
async def status(
    settings: Settings,
    digest: Annotated[
        str | None, typer.Option("--digest", help="Ask for a committed digest instead of the hotkey.")
    ] = None,
    with_reasons: Annotated[
        bool, typer.Option("--explain", help="Add when it is judged, what it earned, and who signed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a validator says about the hotkey's submissions."""
    from miner.status.explain import explain, shown_explanation
    from miner.status.status import fetch_status, shown_fields
    from shared.types import Hotkey

    api = settings.require_api()
    hotkey = None if digest and not with_reasons else _own_hotkey(settings)
    items = fetch_status(api, digest or str(hotkey))
    document: dict[str, Any] = {"key": digest or hotkey, "items": items}
    reasons = await explain(settings, api, Hotkey(str(hotkey))) if with_reasons else None
    if as_json:
        print_json(document if reasons is None else document | {"explanation": reasons})
        return
    for item in items:
        print_fields(shown_fields(item))
        typer.echo()
    if reasons is not None:
        print_fields(shown_explanation(reasons))


def _own_hotkey(settings: Settings) -> str:
    from shared.chain.wallets import hotkey_of, open_wallet

    return hotkey_of(open_wallet(settings, need="public"))
