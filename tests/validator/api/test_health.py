"""Health tells the truth: each thing that stands still shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, update

from validator.api.app import create_app
from validator.ledger.tables import EventRow, MetaRow, RoundRow, SubmissionRow, WeightSetRow

NOW_S = 1_700_000_012


def health(ledger: SimpleNamespace, now_s: int = NOW_S) -> tuple[int, Any]:
    with TestClient(create_app(ledger.url, clock=lambda: now_s)) as client:
        response = client.get("/health")
        return response.status_code, response.json()


def test_working_validator_is_reported_whole(ledger: SimpleNamespace, signer: Any) -> None:
    status, answer = health(ledger)
    assert (status, answer) == (
        200,
        {
            "status": "degraded",
            "reasons": ["1 submission(s) parked"],
            "checked_at": NOW_S,
            "ledger": "readable",
            "netuid": 2,
            "hotkey": signer.ss58_address,
            "head": {"block": 230, "seen_at": 1_700_000_000, "age_s": 12, "age_blocks": 1},
            "newest_round": {"number": 2, "close_block": 219, "state": "dueling"},
            "newest_event": {"id": 4, "kind": "verdict", "block": 228},
            "last_verdict_block": 228,
            "oldest_unsettled_round": 2,
            "weights": {"state": "confirmed", "reason": None, "round": 1, "block": 185},
            "parked": [
                {
                    "hotkey": "Fay",
                    "commit_block": 192,
                    "round": 2,
                    "problem": {
                        "code": "store_unreachable",
                        "message": "no answer",
                        "help": "the store did not answer; it will be asked again",
                        "fault": "network",
                    },
                }
            ],
        },
    )


def test_validator_with_nothing_wrong_is_ok(ledger: SimpleNamespace) -> None:
    ledger.change(lambda session: session.execute(update(SubmissionRow).values(state="waiting")))
    status, answer = health(ledger)
    assert (status, answer["status"], answer["reasons"]) == (200, "ok", [])


@pytest.mark.parametrize(
    ("age_s", "status", "verdict"),
    [
        pytest.param(60, 200, "ok", id="a few blocks"),
        pytest.param(72, 200, "degraded", id="late"),
        pytest.param(611, 200, "degraded", id="almost dead"),
        pytest.param(612, 503, "down", id="dead"),
        pytest.param(-30, 200, "ok", id="a clock behind the loop's"),
    ],
)
def test_silent_chain_degrades_then_downs(
    ledger: SimpleNamespace, age_s: int, status: int, verdict: str
) -> None:
    ledger.change(lambda session: session.execute(update(SubmissionRow).values(state="waiting")))
    code, answer = health(ledger, 1_700_000_000 + age_s)
    assert (code, answer["status"]) == (status, verdict)
    assert answer["reasons"] == ([] if verdict == "ok" else [f"no new block for {age_s} s"])


def test_loop_that_never_ran_is_down(empty: SimpleNamespace) -> None:
    empty.change(lambda session: session.execute(update(MetaRow).values(head=0, head_time=0)))
    status, answer = health(empty)
    assert (status, answer["status"], answer["head"]) == (503, "down", None)
    assert answer["reasons"] == ["the loop has not seen a block yet", "no competition is in force"]


def test_overdue_round_and_failed_weights_are_named(ledger: SimpleNamespace) -> None:
    ledger.change(
        lambda session: session.execute(update(WeightSetRow).values(state="failed", reason="refused"))
    )
    ledger.change(lambda session: session.execute(update(RoundRow).values(state="dueling")))
    assert health(ledger)[1]["reasons"] == [
        "round 0 is not settled past its deadline",
        "weights: refused",
        "1 submission(s) parked",
    ]


def test_missing_permit_is_told_until_weights_are_planned(ledger: SimpleNamespace) -> None:
    reason = "no validator permit yet"
    ledger.change(
        lambda session: session.add(
            EventRow(kind="weights.waiting", body={"reason": reason}, created_block=229)
        )
    )
    waiting = {"state": "waiting_permit", "reason": reason, "round": None, "block": 229}
    assert health(ledger)[1]["weights"] == waiting
    ledger.change(lambda session: session.execute(delete(WeightSetRow)))
    assert health(ledger)[1]["weights"] == waiting
    later = WeightSetRow(round=2, vector={}, uids={}, state="planned", since_block=185, created_block=230)
    ledger.change(lambda session: session.add(later))
    assert health(ledger)[1]["weights"] == {"state": "planned", "reason": None, "round": 2, "block": 230}


@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_unreadable_ledger_is_down(empty: SimpleNamespace, damage: str) -> None:
    if damage == "missing":
        empty.path.unlink()
    else:
        empty.path.write_bytes(b"not a database, but long enough to be looked at as one" * 40)
    status, answer = health(empty)
    assert (status, answer["status"], answer["ledger"], answer["head"]) == (503, "down", "unreadable", None)
    assert len(answer["reasons"]) == 1
