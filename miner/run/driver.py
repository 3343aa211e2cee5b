"""The driver: takes steps for ever, saves after each, and outwaits what may pass.

`run_cli.py` starts it and cancels it on SIGTERM. A fault of the chain, the store or the validator's API
is waited for, with growing pauses; anything else ends the run with its error, and the journal stays.
"""

from __future__ import annotations

import asyncio

from miner.run.shop import Shop
from miner.run.state import RunState, load_state, state_path
from miner.run.steps import take_step
from shared.errors import AgonError, TransientError

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 120.0

PASSING = frozenset({"no_data", "rate_limited"})
"""Codes that are no outages, but pass all the same: what is asked for is not there yet."""


async def resume(shop: Shop) -> RunState:
    """Go on from the journal, or begin one; then `drive`. Raises as `load_state`."""
    genesis = await _genesis(shop)
    fresh = RunState(
        genesis=genesis, netuid=shop.netuid, hotkey=shop.hotkey, competition=shop.bundle.rules.digest
    )
    return await drive(shop, load_state(state_path(shop.settings.state, shop.hotkey), fresh))


async def _genesis(shop: Shop) -> str:
    """Hash of block 0; a chain that does not answer is waited for."""
    from shared.chain.connect import connect

    while True:
        try:
            async with connect(shop.settings) as chain:
                return await chain.genesis_hash()
        except TransientError as error:
            shop.talk(f"{error.code}: {error.message}; trying again in {shop.limits.poll_s:.0f} s")
            await asyncio.sleep(shop.limits.poll_s)


async def drive(shop: Shop, state: RunState) -> RunState:
    """Run until as many attempts have ended as the limits say; for ever without such a limit."""
    shop.save(state)
    faults = 0
    while shop.limits.attempts is None or state.ended < shop.limits.attempts:
        try:
            after = await take_step(shop, state)
            faults = 0
        except AgonError as error:
            if not isinstance(error, TransientError) and error.code not in PASSING:
                raise
            faults += 1
            wait_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (faults - 1), shop.limits.poll_s * faults)
            shop.talk(f"{error.code}: {error.message}; trying again in {wait_s:.0f} s")
            await asyncio.sleep(wait_s)
            continue
        if after == state:
            await asyncio.sleep(shop.limits.poll_s)
            continue
        state = after
        shop.save(state)
    return state
