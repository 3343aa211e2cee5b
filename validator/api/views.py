"""Views of everything but duels: ledger rows and rules turned into the models that the API answers with.

Pure builders, called by `answers.py` with all that they need. They invent nothing: what the ledger does
not hold is none in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.errors import CODES, Fault
from shared.protocol.api import (
    Champion,
    CompetitionView,
    DuelSummary,
    ErrorBody,
    Leaderboard,
    RecordView,
    RoundView,
    Standing,
    SubmissionView,
    WeightsView,
)
from shared.protocol.competition import Competition
from shared.protocol.feed import EventView
from shared.protocol.statement import StatementBody
from shared.stats.power import guarantee, provable
from shared.types import Hotkey
from validator.api.explain import Case, explain, needed_to_win
from validator.ledger.tables import EventRow, ReignRow, RoundRow, StatementRow, SubmissionRow, WeightSetRow

EVENT_KEYS = frozenset(
    {"hotkey", "commit_block", "digest", "model", "competition", "champion", "round", "rank", "live", "slots"}
    | {"duel", "outcome", "reason", "code", "message", "fault", "gain", "prompts", "crowned", "block", "uid"}
    | {"state", "source", "attempts", "proxy_rise", "held_out_rise", "gap", "gap_lower", "alarm"}
)
"""Keys of an event's body that are published; anything else stays in the ledger."""


def view_problem(row: SubmissionRow) -> ErrorBody | None:
    """The error that a submission was refused for, or is held up by."""
    held_up = row.state == "parked" or (row.state in {"slotted", "dueling"} and row.attempts > 0)
    if row.code is None or not (held_up or row.state in {"rejected", "withheld"}):
        return None
    known = CODES.get(row.code)
    fault = row.fault or (known.fault if known else Fault.VALIDATOR)
    help_line = known.help if known else "see the validator's log"
    return ErrorBody(code=row.code, message=row.message or row.code, help=help_line, fault=Fault(fault))


def view_submission(
    row: SubmissionRow,
    rules: Competition,
    *,
    queue_position: int | None,
    duels: Sequence[DuelSummary],
    record: RecordView | None,
) -> SubmissionView:
    """One submission with its explanation; `duels` oldest first."""
    newest = duels[-1] if duels else None
    problem = view_problem(row)
    case = Case(
        state=row.state,
        round=row.round,
        rank=row.rank,
        queue_position=queue_position,
        next_try_block=row.next_try_block or None,
        problem=problem,
        duel=newest,
        crowned=record is not None,
    )
    same = ("hotkey", "commit_block", "competition", "digest", "model", "locator", "state", "seen_round")
    more = ("round", "rank", "settled_round", "attempts")
    refused = row.state in {"rejected", "withheld"}
    return SubmissionView.model_validate(
        {
            **{name: getattr(row, name) for name in (*same, *more)},
            "queue_position": queue_position,
            "fetch_until_block": _fetch_until(row, rules),
            "next_try_block": row.next_try_block or None if problem and not refused else None,
            "problem": problem,
            "duels": tuple(duels),
            "record": record,
            "explanation": explain(case, rules),
            "to_win": needed_to_win(newest.verdict, rules) if newest else None,
        }
    )


def _fetch_until(row: SubmissionRow, rules: Competition) -> int | None:
    waits = row.state == "slotted" and row.fetch_from is not None
    return (row.fetch_from or 0) + rules.schedule.fetch_blocks if waits else None


def view_champion(reign: ReignRow, newest_round: int | None) -> Champion:
    """The reigning checkpoint; `newest_round` is the newest closed round."""
    rounds = 0 if newest_round is None else max(0, newest_round - reign.from_round + 1)
    return Champion.model_validate(
        {"model": reign.model, "hotkey": reign.hotkey, "from_round": reign.from_round, "rounds": rounds}
    )


def view_leaderboard(
    competition: str,
    champion: Champion,
    newest_round: int | None,
    records: Sequence[tuple[Hotkey, RecordView]],
    weights: WeightSetRow | None,
) -> Leaderboard:
    """Hotkeys that hold a record, ranked by their share of the newest weight vector."""
    held: dict[Hotkey, list[RecordView]] = {}
    for hotkey, achievement in records:
        held.setdefault(hotkey, []).append(achievement)
    vector: Mapping[str, float] = {} if weights is None else weights.vector
    share = {hotkey: float(vector.get(hotkey, 0.0)) for hotkey in held}
    gain = {hotkey: sum(item.gain for item in items) for hotkey, items in held.items()}
    first = {hotkey: min(item.round for item in items) for hotkey, items in held.items()}
    order = sorted(held, key=lambda hotkey: (-share[hotkey], -gain[hotkey], first[hotkey], hotkey))
    standings = [
        Standing(
            rank=rank,
            hotkey=hotkey,
            share=None if weights is None else share[hotkey],
            gain=gain[hotkey],
            champion=hotkey == champion.hotkey,
            records=tuple(sorted(held[hotkey], key=lambda item: -item.round)),
        )
        for rank, hotkey in enumerate(order, start=1)
    ]
    unearned = sum(float(part) for hotkey, part in vector.items() if hotkey not in held)
    return Leaderboard.model_validate(
        {
            "competition": competition,
            "round": newest_round,
            "champion": champion,
            "standings": tuple(standings),
            "remainder": None if weights is None else unearned,
            "weights": None if weights is None else {"round": weights.round, "state": weights.state},
        }
    )


def view_round(
    row: RoundRow,
    submissions: Sequence[SubmissionRow],
    duels: Mapping[tuple[str, int], str],
    statement: StatementRow | None,
    opens_at: int | None,
) -> RoundView:
    """A closed round; `statement` is none while it is sealed, and `duels` names duels by submission."""
    body = None if statement is None else StatementBody.model_validate(statement.body)
    outcomes = {(slot.hotkey, slot.commit_block): slot.outcome for slot in body.slots} if body else {}
    slots = []
    for item in submissions:
        key = (Hotkey(item.hotkey), item.commit_block)
        refused = item.state in {"rejected", "withheld", "parked"}
        same = ("rank", "hotkey", "commit_block", "digest", "model", "state")
        slot = {name: getattr(item, name) for name in same}
        code = item.code if refused else None
        slots.append({**slot, "code": code, "outcome": outcomes.get(key), "duel": duels.get(key)})
    plain = ("competition", "number", "state", "close_block", "close_hash", "next_hash", "seed", "source")
    return RoundView.model_validate(
        {
            **{name: getattr(row, name) for name in (*plain, "trial", "champion")},
            "slots_given": row.slots,
            "crowned": body.crowned if body else None,
            "opens_at_block": opens_at,
            "statement": statement.digest if statement else None,
            "slots": slots,
        }
    )


def view_weights(row: WeightSetRow) -> WeightsView:
    """The newest row of the outbox."""
    same = ("round", "state", "reason", "vector", "uids", "done_block")
    plain = {name: getattr(row, name) for name in same}
    return WeightsView.model_validate({**plain, "planned_block": row.created_block})


def view_competition(rules: Competition, head: int, champion: Champion | None) -> CompetitionView:
    """The rules in force, the round that takes commitments at `head`, and what the numbers can prove."""
    number = rules.schedule.round_at(head)
    started = number >= 0
    return CompetitionView(
        digest=rules.digest,
        rules=rules,
        head=head,
        round=number if started else None,
        closes_at_block=rules.schedule.close(number) if started else None,
        champion=champion,
        proves=provable(rules),
        guarantee=guarantee(rules),
    )


def view_event(row: EventRow, sealed_duels: Mapping[str, int]) -> EventView:
    """One entry of the feed; of a verdict that is still sealed, only that there is one."""
    body = {key: value for key, value in row.body.items() if key in EVENT_KEYS and _is_scalar(value)}
    opens_at = sealed_duels.get(str(row.body.get("duel")))
    if row.kind.startswith("verdict.") and opens_at is not None:
        body = {"duel": row.body["duel"], "hotkey": row.body.get("hotkey"), "block": opens_at}
        return EventView(id=row.id, kind="verdict.sealed", block=row.created_block, body=body)
    return EventView(id=row.id, kind=row.kind, block=row.created_block, body=body)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
