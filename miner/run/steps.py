"""The steps of the unattended loop: each looks at the world once and returns the next state.

The driver calls the step that the journal names. Every one can be repeated after a kill: training goes on
where it stopped, committing asks the chain first, and following only reads.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable

from miner.dry_run.opponent import champion_of, fetch_champion
from miner.run.budget import ensure_registered
from miner.run.context import RunContext
from miner.run.state import Attempt, RunState
from miner.status.api_client import ask_for
from miner.submit.journal import journal_path, load_journal
from miner.submit.package import package, read_lineage
from miner.submit.request import SubmitRequest, run_submit
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.api import Champion, SubmissionPage, SubmissionView

FRUITLESS = frozenset({"training_failed", "data_invalid", "out_of_memory", "resume_mismatch"})
"""What training may fail of without ending the loop: another seed is tried after a rest."""

ENDED = frozenset({"settled", "rejected", "withheld", "expired"})


async def take_step(context: RunContext, state: RunState) -> RunState:
    """Do what the journal says is next. The same state means that there is nothing to do yet.

    Raises TransientError for what may pass, and other AgonErrors for what needs its owner.
    """
    return await STEPS[state.step](context, state)


async def watch(context: RunContext, state: RunState) -> RunState:
    """Begin an attempt against the champion, unless it is our own."""
    champion = _champion(context)
    if champion.hotkey == context.hotkey:
        return state
    begun = state.begin(champion.model, context.limits.seed)
    attempt = begun.require_attempt()
    for old in sorted(context.folder.glob("[0-9]*")):
        if old.name < f"{attempt.number - 1:04}":
            shutil.rmtree(old, ignore_errors=True)
    context.talk(f"attempt {attempt.number}: seed {attempt.seed}, against {champion.model}")
    return begun


async def train(context: RunContext, state: RunState) -> RunState:
    """Make the attempt's checkpoint from the champion's."""
    attempt = state.require_attempt()
    target = context.checkpoint(attempt)
    if not target.exists():
        if _champion(context).model != attempt.champion:
            return _start_over(context, state)
        start = await asyncio.to_thread(fetch_champion, context.settings, context.bundle, context.api)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            await context.train(start, target, seed=attempt.seed, failures=state.failures)
        except TransientError:
            raise
        except AgonError as error:
            if error.code not in FRUITLESS:
                raise
            return await _fail(context, state, f"{error.code}: {error.message}")
    return state.to("scoring")


async def score(context: RunContext, state: RunState) -> RunState:
    """Estimate the chance; a checkpoint that is not good enough ends the attempt."""
    attempt = state.require_attempt()
    if _champion(context).model != attempt.champion:
        return _start_over(context, state)
    try:
        found = await context.score(context.checkpoint(attempt))
    except Rejection as error:  # what admission would refuse, or a policy that cannot be sampled
        return await _fail(context, state, f"{error.code}: {error.message}")
    update = {"chance": found.chance, "mean": found.mean}
    state = state.model_copy(update={"attempt": attempt.model_copy(update=update)})
    told = f"chance {found.chance:.2f}, mean d {found.mean:+.3f} [{found.lower:+.3f}, {found.upper:+.3f}]"
    context.talk(f"attempt {attempt.number}: {told}")
    if found.chance < context.limits.min_chance:
        return await _fail(context, state, f"{told}: below {context.limits.min_chance:g}")
    return state.to("paying")


async def pay(context: RunContext, state: RunState) -> RunState:
    """Register the hotkey where it is not, within what may be spent."""
    from shared.chain.connect import connect

    async with connect(context.settings) as chain:
        paid = await ensure_registered(context, state, chain)
    stale = paid.payment is None and _champion(context).model != state.require_attempt().champion
    return _start_over(context, paid) if stale else paid


async def submit(context: RunContext, state: RunState) -> RunState:
    """Commit the checkpoint and publish it in its slot; the submit journal makes that repeatable."""
    attempt = state.require_attempt()
    source = context.checkpoint(attempt)
    packed = package(source, context.package(attempt), lineage=read_lineage(source, None))
    journal = load_journal(journal_path(context.settings.state, context.hotkey))
    ours = journal is not None and journal.manifest == packed.manifest.digest
    if ours and journal is not None and journal.state != "verified":
        request = SubmitRequest(None, None, resume=True, api=context.api)
    else:
        # whatever else this hotkey had under way makes room: the loop has it to itself
        request = SubmitRequest(packed.path, context.place(attempt), replace=not ours, api=context.api)
    try:
        receipt = await run_submit(context.settings, request, talk=context.talk)
    except AgonError as error:
        if error.code != "not_in_queue":
            raise
        return await _fail(context, state, f"{error.code}: {error.message}")
    if receipt.findings:
        return await _fail(context, state, f"{receipt.findings[0].code}: {receipt.findings[0].message}")
    update = {"digest": receipt.document["digest"], "commit_block": receipt.document["commit_block"]}
    return state.model_copy(update={"attempt": attempt.model_copy(update=update)}).to("following")


async def follow(context: RunContext, state: RunState) -> RunState:
    """Wait for the verdict; a crown ends the attempt well."""
    attempt = state.require_attempt()
    item = _submission(context, attempt)
    if item is None or item.state not in ENDED:
        return state
    context.talk(f"attempt {attempt.number}: {item.explanation}")
    if item.record is not None:
        return state.crown()
    return await _fail(context, state, item.explanation)


async def rest(context: RunContext, state: RunState) -> RunState:
    """Wait out the rest, which another champion ends."""
    before = state.attempt
    moved = before is not None and _champion(context).model != before.champion
    if moved or await _head(context) >= state.rest_until_block:
        return state.to("watching")
    return state


STEPS: dict[str, Callable[[RunContext, RunState], Awaitable[RunState]]] = {
    "watching": watch,
    "training": train,
    "scoring": score,
    "paying": pay,
    "submitting": submit,
    "following": follow,
    "resting": rest,
}


def _champion(context: RunContext) -> Champion:
    """The champion; before there is one, that is the validator's trouble and may pass."""
    try:
        return champion_of(context.api)
    except AgonError as error:
        if error.code == "no_data":
            raise TransientError("api_unreachable", f"no champion yet: {error.message}") from error
        raise


def _submission(context: RunContext, attempt: Attempt) -> SubmissionView | None:
    try:
        page = ask_for(context.api, f"/v1/submissions/{attempt.digest}", SubmissionPage)
    except AgonError as error:
        if error.code == "no_data":
            return None
        raise
    return next((item for item in page.items if item.commit_block == attempt.commit_block), None)


def _start_over(context: RunContext, state: RunState) -> RunState:
    context.talk("the champion changed: this attempt was against another one")
    return state.model_copy(update={"step": "watching", "ended": state.ended + 1})


async def _fail(context: RunContext, state: RunState, reason: str) -> RunState:
    failed = state.fail(reason, head=await _head(context), rest_blocks=context.rest_blocks)
    context.talk(f"{reason}; resting until block {failed.rest_until_block}")
    return failed


async def _head(context: RunContext) -> int:
    from shared.chain.connect import connect

    async with connect(context.settings) as chain:
        return (await chain.head()).number
