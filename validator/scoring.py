"""Scoring: submissions of the oldest unsettled round become verdicts, one bounded step at a time.

`score_next` starts or collects the background task and returns at once; the ledger says what is next,
so a kill at any point repeats at most one step. A bad checkpoint is recorded and the next one is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from shared.dueling import SampleKey, Seeds, Side, duel_row, fresh_difference, seeds_of
from shared.errors import AgonError, Rejection, TransientError
from shared.models.evidence import Sample
from shared.models.prompt import Prompt
from shared.models.verdict import Verdict
from shared.scoring import Job
from shared.stats.duel import Carry, More, Terms, decide, look_at
from shared.stats.rows import Block, Row
from shared.types import Digest, RoundNumber, SliceName
from validator.drawing import draw_of
from validator.fetching import fetch, restore
from validator.house import House
from validator.ledger import duels, rounds, submissions
from validator.ledger.duels import NewRow
from validator.ledger.tables import DuelRecord, DuelRowRecord, RoundRow
from validator.watching import close_duel, watch

log = structlog.get_logger()

PREFETCH_PROMPTS = 32
"""Prompts answered at once: enough rows to fill a batch, and one identity check."""

OUR_FAULTS = frozenset({"judge_non_finite", "judge_invalid", "child_failed", "base_unavailable"})
"""What a look may fail of without ending the process: the duel is tried again, then parked."""


async def score_next(house: House) -> None:
    """Collect the scoring task if it has ended, and start it again if there may be work."""
    if house.scoring is not None and house.scoring.done():
        ended, house.scoring = house.scoring, None
        ended.result()  # a background failure ends the process
    if house.scoring is None:
        house.scoring = asyncio.create_task(work_off(house))


async def work_off(house: House) -> None:
    """Take steps until nothing is due."""
    while await step(house):
        pass


async def step(house: House) -> bool:
    """Do the next piece of work; False when nothing is due."""
    due = await house.ledger.do(submissions.due_fetches)
    if due:
        await fetch(house, due[0])
        return True
    if await house.ledger.do(submissions.resume_parked):
        return True
    row = await house.ledger.do(rounds.oldest_open_round, house.rules.digest)
    return row is not None and await _work_on(house, row)


async def _work_on(house: House, row: RoundRow) -> bool:
    if row.state == "open":
        await house.ledger.do(rounds.give_slots, house.rules, RoundNumber(row.number))
        return True
    if row.state == "slotted":
        return await _start_duels(house, row)
    if await house.ledger.do(duels.join_duels, house.rules.digest, RoundNumber(row.number)):
        return True
    playing = await house.ledger.do(duels.duels_in_play, "open")
    if playing:
        await _advance(house, playing[0])
    return bool(playing)


async def _start_duels(house: House, row: RoundRow) -> bool:
    number = RoundNumber(row.number)
    if house.head < row.close_block + house.rules.schedule.grace_blocks:
        return False
    if await house.ledger.do(submissions.in_slots, number, "slotted"):
        return False
    await house.ledger.do(duels.open_duels, house.rules, number)
    return True


async def _advance(house: House, duel: DuelRecord) -> None:
    """Take one look of a duel; faults are recorded where they belong."""
    key = (duel.hotkey, duel.commit_block)
    try:
        await _look(house, duel)
    except AgonError as error:
        if isinstance(error, Rejection) and error.code == "non_finite_policy":
            log.info("submission rejected in its duel", duel=duel.id, code=error.code)
            await house.ledger.do(submissions.reject, key, error)
            return
        if isinstance(error, Rejection):
            # admission found these bytes well formed, so they were damaged here
            error = TransientError("child_failed", f"the files of {duel.challenger}: {error.message}")
        if error.code not in OUR_FAULTS and not isinstance(error, TransientError):
            raise
        log.warning("duel set back", duel=duel.id, code=error.code, error=error.message)
        await house.ledger.do(submissions.set_back, key, error)


async def _look(house: House, duel: DuelRecord) -> None:
    stored = await house.ledger.do(duels.rows_of, duel.id)
    terms = Terms.of(house.rules, duel.alpha)
    taken = [row for row in stored if row.round == duel.round]
    played = _blocks_by_round(terms, stored, duel.round)
    outcome = decide(terms, played)
    if isinstance(outcome, Verdict):
        await house.ledger.do(close_duel, duel.id, outcome, await watch(house, duel))
        log.info("verdict", duel=duel.id, outcome=outcome.outcome, reason=outcome.reason)
    elif isinstance(outcome, Carry):
        await house.ledger.do(duels.carry, duel.id)
        log.info("duel carried", duel=duel.id, rows=len(stored))
    else:
        rows = await _answer(house, duel, outcome, position=len(stored), taken=len(taken))
        wealth = look_at(terms, played).log_wealth if stored else 0.0
        await house.ledger.do(duels.take_rows, duel.id, rows, wealth)
        log.info("look", duel=duel.id, rows=len(stored) + len(rows))


def _blocks_by_round(terms: Terms, stored: Sequence[DuelRowRecord], current: int) -> list[tuple[Block, ...]]:
    """The duel's rows as blocks, one tuple per round that it has taken prompts from."""
    numbers = sorted({row.round for row in stored} | {current})
    return [Block.split(terms.plan, [_statistic(row) for row in stored if row.round == n]) for n in numbers]


def _statistic(row: DuelRowRecord) -> Row:
    return Row(
        slice=SliceName(row.slice),
        d=row.d,
        d_fresh=row.d_fresh,
        extra_tokens=row.extra_tokens,
        kl=row.kl,
        identical=row.identical,
        s_champion=row.s_champion,
    )


async def _answer(house: House, duel: DuelRecord, more: More, *, position: int, taken: int) -> list[NewRow]:
    """Rows for the next `more.blocks` blocks of the round's draw, answered and scored where they are not."""
    number, size = RoundNumber(duel.round), house.rules.block_prompts
    start, ahead = taken // size, max(more.blocks, PREFETCH_PROMPTS // size)
    blocks = (await draw_of(house, number))[start : start + ahead]
    wanted = [prompt for block in blocks[: more.blocks] for prompt in block]
    prompts = [prompt for block in blocks for prompt in block]
    seed = Digest((await house.ledger.do(rounds.round_row, house.rules.digest, number)).seed)
    ours, theirs = seeds_of(house.rules, seed, prompts)
    challenger = await _samples(house, duel.challenger, prompts, wanted, ours)
    try:
        champion = await _samples(house, duel.champion, prompts, wanted, theirs)
    except Rejection as error:  # it was scored before: not the challenger's fault
        raise TransientError("child_failed", f"the champion {duel.champion}: {error.message}") from error
    rows = []
    for offset, prompt in enumerate(wanted):
        row = duel_row(
            prompt,
            position + offset,
            Side(Digest(duel.challenger), ours, challenger),
            Side(Digest(duel.champion), theirs, champion),
        )
        rows.append(NewRow(row, fresh_difference(row, house.rules, number)))
    return rows


async def _samples(
    house: House,
    model: str,
    prompts: Sequence[Prompt],
    wanted: Sequence[Prompt],
    seeds: Seeds,
) -> dict[SampleKey, Sample]:
    """Scored completions of `model` for `prompts`; answered only when one of `wanted` is missing."""
    keys = [(model, prompt.id, seed) for prompt in prompts for seed in seeds[prompt.id]]
    found = await house.ledger.do(duels.cached_samples, keys)
    needed = {(model, prompt.id, seed) for prompt in wanted for seed in seeds[prompt.id]}
    if needed <= found.keys():
        return found
    by_id = {prompt.id: prompt for prompt in prompts}
    await restore(house, model)
    missing = [key for key in keys if key not in found]
    jobs = [Job(by_id[prompt], seed) for _, prompt, seed in missing]
    scored = await asyncio.to_thread(house.bench.evaluate, house.weights_of(model), jobs)
    fresh = dict(zip(missing, scored, strict=True))
    await house.ledger.do(duels.keep_samples, fresh)
    return found | fresh
