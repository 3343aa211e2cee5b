"""Scoring: submissions of the oldest unsettled round become verdicts, one bounded step at a time.

`score_next` starts or collects the background task and returns at once; the ledger says what is next,
so a kill at any point repeats at most one step. A bad checkpoint is recorded and the next one is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from shared.duels.rows import (
    CompletionKey,
    Seeds,
    Side,
    evidence_row,
    fresh_difference,
    seeds_of,
    serving_judges,
)
from shared.duels.scorer import Job, Scorer
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.evidence import ScoredCompletion
from shared.protocol.prompt import Prompt
from shared.protocol.verdict import Verdict
from shared.stats.duel import Carry, More, Terms, decide, look_at
from shared.stats.rows import Batch, Row
from shared.types import Digest, RoundNumber
from validator.context import ValidatorContext
from validator.ledger import duel_rows, duels, rounds, submissions
from validator.ledger.duel_rows import NewRow
from validator.ledger.tables import DuelPromptRow, DuelRow, RoundRow
from validator.stages.draw import draw_of
from validator.stages.fetch import fetch, restore
from validator.stages.gap import measure_duel_gap

log = structlog.get_logger()

PREFETCH_PROMPTS = 32
"""Prompts answered at once: enough rows to fill a batch, and one identity check."""

OUR_FAULTS = frozenset({"judge_non_finite", "judge_invalid", "child_failed", "base_unavailable"})
"""What a look may fail of without ending the process: the duel is tried again, then parked."""


async def score_next(context: ValidatorContext) -> None:
    """Collect the scoring task if it has ended, and start it again if there may be work."""
    if context.scoring is not None and context.scoring.done():
        ended, context.scoring = context.scoring, None
        ended.result()  # a background failure ends the process
    if context.scoring is None:
        context.scoring = asyncio.create_task(work_off(context))


async def work_off(context: ValidatorContext) -> None:
    """Take steps until nothing is due."""
    while await step(context):
        pass


async def step(context: ValidatorContext) -> bool:
    """Do the next piece of work; False when nothing is due."""
    due = await context.ledger.do(submissions.due_fetches)
    if due:
        await fetch(context, due[0])
        return True
    if await context.ledger.do(submissions.resume_parked):
        return True
    row = await context.ledger.do(rounds.oldest_open_round, context.rules.digest)
    return row is not None and await _work_on(context, row)


async def _work_on(context: ValidatorContext, row: RoundRow) -> bool:
    if row.state == "open":
        await context.ledger.do(rounds.give_slots, context.rules, RoundNumber(row.number))
        return True
    if row.state == "slotted":
        return await _start_duels(context, row)
    if await context.ledger.do(duels.join_duels, context.rules.digest, RoundNumber(row.number)):
        return True
    playing = await context.ledger.do(duels.duels_in_play, "open")
    if playing:
        await _advance(context, playing[0])
    return bool(playing)


async def _start_duels(context: ValidatorContext, row: RoundRow) -> bool:
    number = RoundNumber(row.number)
    if context.head < row.close_block + context.rules.schedule.grace_blocks:
        return False
    if await context.ledger.do(submissions.in_slots, number, "slotted"):
        return False
    await context.ledger.do(duels.open_duels, context.rules, number)
    return True


async def _advance(context: ValidatorContext, duel: DuelRow) -> None:
    """Take one look of a duel; faults are recorded where they belong."""
    key = (duel.hotkey, duel.commit_block)
    try:
        await _look(context, duel)
    except AgonError as error:
        if isinstance(error, Rejection) and error.code == "non_finite_policy":
            log.info("submission rejected in its duel", duel=duel.id, code=error.code)
            await context.ledger.do(submissions.reject, key, error)
            return
        if isinstance(error, Rejection):
            # admission found these bytes well formed, so they were damaged here
            error = TransientError("child_failed", f"the files of {duel.challenger}: {error.message}")
        if error.code not in OUR_FAULTS and not isinstance(error, TransientError):
            raise
        log.warning("duel set back", duel=duel.id, code=error.code, error=error.message)
        await context.ledger.do(submissions.set_back, key, error)


async def _look(context: ValidatorContext, duel: DuelRow) -> None:
    stored = await context.ledger.do(duel_rows.rows_of, duel.id)
    terms = Terms.of(context.rules, duel.alpha)
    taken = [row for row in stored if row.round == duel.round]
    played = _batches_by_round(terms, stored, duel.round)
    outcome = decide(terms, played)
    if isinstance(outcome, Verdict):
        await context.ledger.do(duels.close_duel, duel.id, outcome, await measure_duel_gap(context, duel))
        log.info("verdict", duel=duel.id, outcome=outcome.outcome, reason=outcome.reason)
    elif isinstance(outcome, Carry):
        await context.ledger.do(duels.carry, duel.id)
        log.info("duel carried", duel=duel.id, rows=len(stored))
    else:
        rows = await _answer(context, duel, outcome, position=len(stored), taken=len(taken))
        wealth = look_at(terms, played).log_wealth if stored else 0.0
        await context.ledger.do(duel_rows.take_rows, duel.id, rows, wealth)
        log.info("look", duel=duel.id, rows=len(stored) + len(rows))


def _batches_by_round(terms: Terms, stored: Sequence[DuelPromptRow], current: int) -> list[tuple[Batch, ...]]:
    """The duel's rows as batches, one tuple per round that it has taken prompts from."""
    numbers = sorted({row.round for row in stored} | {current})
    return [Batch.split(terms.plan, [Row.of(row) for row in stored if row.round == n]) for n in numbers]


async def _answer(
    context: ValidatorContext, duel: DuelRow, more: More, *, position: int, taken: int
) -> list[NewRow]:
    """Rows for the next `more.batches` batches of the round's draw, drawn and scored where they are not."""
    number, size = RoundNumber(duel.round), context.rules.batch_prompts
    start, ahead = taken // size, max(more.batches, PREFETCH_PROMPTS // size)
    batches = (await draw_of(context, number))[start : start + ahead]
    wanted = [prompt for batch in batches[: more.batches] for prompt in batch]
    prompts = [prompt for batch in batches for prompt in batch]
    seed = Digest((await context.ledger.do(rounds.round_row, context.rules.digest, number)).seed)
    ours, theirs = seeds_of(context.rules, seed, prompts)
    scorer = scorer_of(context, number)
    challenger = await _completions(context, scorer, duel.challenger, prompts, wanted=wanted, seeds=ours)
    try:
        champion = await _completions(context, scorer, duel.champion, prompts, wanted=wanted, seeds=theirs)
    except Rejection as error:  # it was scored before: not the challenger's fault
        raise TransientError("child_failed", f"the champion {duel.champion}: {error.message}") from error
    rows = []
    for offset, prompt in enumerate(wanted):
        row = evidence_row(
            prompt,
            position + offset,
            Side(Digest(duel.challenger), ours, challenger),
            Side(Digest(duel.champion), theirs, champion),
        )
        rows.append(NewRow(row, fresh_difference(row, context.rules, number)))
    return rows


def scorer_of(context: ValidatorContext, number: RoundNumber) -> Scorer:
    """The scorer with the judges that serve a round; the children are the same."""
    whole, serving = context.scorer, serving_judges(context.rules, number)
    if serving == context.rules.judges:
        return whole
    return whole.serving(serving)


async def _completions(
    context: ValidatorContext,
    scorer: Scorer,
    model: str,
    prompts: Sequence[Prompt],
    *,
    wanted: Sequence[Prompt],
    seeds: Seeds,
) -> dict[CompletionKey, ScoredCompletion]:
    """Scored completions of `model` for `prompts`; answered only when one of `wanted` is missing.

    A cached one is of this round and was scored by its judges: seeds come from the round's own, so no key is
    ever shared between rounds.
    """
    keys = [(model, prompt.id, seed) for prompt in prompts for seed in seeds[prompt.id]]
    found = await context.ledger.do(duel_rows.cached_completions, keys)
    needed = {(model, prompt.id, seed) for prompt in wanted for seed in seeds[prompt.id]}
    if needed <= found.keys():
        return found
    by_id = {prompt.id: prompt for prompt in prompts}
    await restore(context, model)
    missing = [key for key in keys if key not in found]
    jobs = [Job(by_id[prompt], seed) for _, prompt, seed in missing]
    scored = await asyncio.to_thread(scorer.evaluate, context.checkpoint_of(model), jobs)
    fresh = dict(zip(missing, scored, strict=True))
    await context.ledger.do(duel_rows.keep_completions, fresh)
    return found | fresh
