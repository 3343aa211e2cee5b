"""Settling: the verdicts of a round become its crown, its records and its signed statement.

Rounds are settled strictly in order and each in one transaction. The next champion, the queue and the
weights are read only from what was settled, never from what is still under way.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy.orm import Session

from shared.protocol.merkle import merkle_root, root_of_leaves
from shared.protocol.statement import SlotOutcome, SlotReport, StatementBody
from shared.protocol.verdict import Verdict
from shared.protocol.wire import digest_bytes
from shared.signing import sign
from shared.types import Digest, Hotkey, RoundNumber
from validator.context import ValidatorContext
from validator.ledger import duel_rows, duels, rounds, settlements
from validator.ledger.settlements import Crown
from validator.ledger.tables import RoundRow, SubmissionRow

log = structlog.get_logger()

OUTCOME_OF_STATE: dict[str, SlotOutcome] = {
    "rejected": "rejected",
    "withheld": "withheld",
    "parked": "parked",
    "slotted": "parked",
    "admitted": "parked",
}
"""States of a submission that are its outcome, whatever its duel says. At the end of a round `slotted`
and `admitted` are older ones that came back from being parked and wait for the next round's duels."""


async def settle(context: ValidatorContext) -> None:
    """Settle the oldest open round, once nothing in it is under way any more.

    It waits while the scoring task runs: a submission that comes back from being parked must not slip
    between the account of a round and its settlement.
    """
    if context.scoring is not None and not context.scoring.done():
        return
    row = await context.ledger.do(rounds.oldest_open_round, context.rules.digest)
    if row is None or row.state != "dueling":
        return
    number = RoundNumber(row.number)
    if await context.ledger.do(settlements.unfinished, number):
        return
    reports = await context.ledger.do(report_slots, number)
    crown = first_crown(reports)
    if crown is not None and await _is_held_up(context, number, crown):
        return
    statement = sign(await _account(context, row, reports, crown), context.signer)
    await context.ledger.do(
        settlements.settle_round,
        context.rules,
        number,
        reports=reports,
        crown=crown,
        statement=statement,
    )
    if reports:
        log.info("round settled", round=number, slots=len(reports), crowned=crown.hotkey if crown else None)


async def _is_held_up(context: ValidatorContext, number: RoundNumber, crown: Crown) -> bool:
    """Whether a parked submission of earlier priority still holds up the crown: for one round at most."""
    limit = context.rules.schedule.close(RoundNumber(number + 1))
    return context.head <= limit and await context.ledger.do(settlements.held_up, number, crown)


def first_crown(reports: Sequence[SlotReport]) -> Crown | None:
    """The winner of the highest priority; reports come in priority order."""
    for report in reports:
        if report.outcome == "won" and report.verdict and report.duel and report.model:
            return Crown(report.duel, report.hotkey, report.model, report.verdict.gain)
    return None


def report_slots(session: Session, number: RoundNumber) -> tuple[SlotReport, ...]:
    """What the statement of a round will say of each submission, in priority order."""
    return tuple(_report(session, item) for item in settlements.participants(session, number))


def _report(session: Session, submission: SubmissionRow) -> SlotReport:
    duel = duels.newest_duel(session, submission)
    verdict = None if duel is None else settlements.verdict_of(duel)
    outcome, code = _end_of(submission, verdict)
    return SlotReport(
        hotkey=Hotkey(submission.hotkey),
        commit_block=submission.commit_block,
        digest=Digest(submission.digest) if submission.digest else None,
        model=Digest(submission.model) if submission.model else None,
        outcome=outcome,
        code=code,
        verdict=verdict.published() if verdict else None,
        duel=duel.id if duel else None,
        rows_root=root_of_leaves([row.leaf for row in duel_rows.rows_of(session, duel.id)]) if duel else None,
    )


def _end_of(submission: SubmissionRow, verdict: Verdict | None) -> tuple[SlotOutcome, str | None]:
    """What the statement says of a submission, and why."""
    if submission.state in OUTCOME_OF_STATE:
        return OUTCOME_OF_STATE[submission.state], submission.code
    return ("carried", None) if verdict is None else (verdict.outcome, verdict.reason)


async def _account(
    context: ValidatorContext, row: RoundRow, reports: tuple[SlotReport, ...], crown: Crown | None
) -> StatementBody:
    previous = await context.ledger.do(settlements.newest_statement, context.hotkey)
    roots = [digest_bytes(report.rows_root) for report in reports if report.rows_root]
    champion = Digest(row.champion or context.base_model)
    return StatementBody(
        competition=context.rules.digest,
        round=RoundNumber(row.number),
        author=context.hotkey,
        previous=Digest(previous.digest) if previous else None,
        close_block=row.close_block,
        close_hash=row.close_hash,
        seed=Digest(row.seed),
        source="snapshot",
        champion=champion,
        slots=reports,
        crowned=crown.hotkey if crown else None,
        next_champion=Digest(crown.model) if crown else champion,
        rows_root=merkle_root(roots),
    )
