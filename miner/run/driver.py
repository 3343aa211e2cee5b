"""The driver: takes steps for ever, saves after each, and outwaits what may pass.

`run_cli.py` starts it and cancels it on SIGTERM. A fault of the chain, the store or the validator's API
is waited for, with growing pauses; anything else ends the run with its error, and the journal stays.
"""

from __future__ import annotations

import asyncio

from miner.run.context import RunContext
from miner.run.state import RunState, load_state, state_path
from miner.run.steps import take_step
from shared.errors import AgonError, TransientError

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 120.0

PASSING = frozenset({"no_data", "rate_limited"})
"""Codes that are no outages, but pass all the same: what is asked for is not there yet."""


async def resume(context: RunContext) -> RunState:
    """Go on from the journal, or begin one; then `drive`. Raises as `load_state`."""
    genesis = await _genesis(context)
    fresh = RunState(
        genesis=genesis, netuid=context.netuid, hotkey=context.hotkey, competition=context.bundle.rules.digest
    )
    return await drive(context, load_state(state_path(context.settings.state, context.hotkey), fresh))


async def _genesis(context: RunContext) -> str:
    """Hash of block 0; a chain that does not answer is waited for."""
    from shared.chain.connect import connect

    while True:
        try:
            async with connect(context.settings) as chain:
                return await chain.genesis_hash()
        except TransientError as error:
            context.talk(f"{error.code}: {error.message}; trying again in {context.limits.poll_s:.0f} s")
            await asyncio.sleep(context.limits.poll_s)


async def drive(context: RunContext, state: RunState) -> RunState:
    """Run until as many attempts have ended as the limits say; for ever without such a limit."""
    context.save(state)
    faults = 0
    while context.limits.attempts is None or state.ended < context.limits.attempts:
        try:
            after = await take_step(context, state)
            faults = 0
        except AgonError as error:
            if not isinstance(error, TransientError) and error.code not in PASSING:
                raise
            faults += 1
            wait_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (faults - 1), context.limits.poll_s * faults)
            context.talk(f"{error.code}: {error.message}; trying again in {wait_s:.0f} s")
            await asyncio.sleep(wait_s)
            continue
        if after == state:
            await asyncio.sleep(context.limits.poll_s)
            continue
        state = after
        context.save(state)
    return state
