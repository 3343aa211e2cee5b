"""Each route's whole answer over a known ledger."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bittensor.sp_core import Keypair
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.protocol.competition import Competition
from shared.protocol.statement import Signed
from shared.signing import verify
from shared.stats.eprocess import confidence_sequence, log_wealth
from validator.ledger.tables import DuelPromptRow, MetaRow, RoundRow, SubmissionRow

BASE = "sha256:" + "02" * 32
ANN = "sha256:" + "6f" * 32
EVE = "sha256:" + "bf" * 32
ANNS_RECORD = {
    "duel": "d0",
    "model": ANN,
    "round": 0,
    "gain": 0.08,
    "mean": 0.2,
    "lower": 0.05,
    "upper": 0.35,
    "win_rate": 0.75,
    "prompts": 160,
}
ANNS_VERDICT = {
    "outcome": "won",
    "reason": "confirmed",
    "prompts": 160,
    "mean": 0.2,
    "lower": 0.05,
    "upper": 0.35,
    "win_rate": 0.75,
    "gain": 0.08,
    "gain_bound": 0.0775,
    "champion_mean": 0.5,
    "alpha": 0.015625,
    "log_wealth": 5.5,
    "slices": [{"name": "chat", "prompts": 96, "mean": 0.12, "lower": 0.05}],
    "kl": 2.5,
    "extra_tokens": -0.5,
}
SEALED_DUEL: dict[str, Any] = {
    "id": "d2",
    "hotkey": "Eve",
    "commit_block": 190,
    "challenger": EVE,
    "champion": ANN,
    "round": 2,
    "state": "closed",
    "prompts": 32,
    "alpha": 0.015625,
    "threshold": 4.1588830833596715,
    "opens_at_block": 259,
    "verdict": None,
}
SEALED_WORDS = (
    "duels the champion, 32 prompts so far; its evidence opens at block 259,"
    " or when the round is settled before"
)
WON_WORDS = (
    "won and crowned; improvement at least +0.077 on this pool, gain 0.080"
    " (mean difference +0.200, 98.44% interval [+0.050, +0.350], 160 prompts)"
)
GUARANTEE = (
    "expected wrong crowns are at most 0.05 in the first 100 rounds of a reign and about 0.025 in any later"
    " 100, whatever the number of hotkeys; each gain exceeds the truth with probability at most 10%; all of"
    " it on this pool"
)


def one(client: TestClient, key: str) -> Any:
    response = client.get(f"/v1/submissions/{key}")
    assert response.status_code == 200
    assert len(response.json()["items"]) == 1
    return response.json()["items"][0]


def test_leaderboard_ranks_by_the_newest_vector(client: TestClient, rules: Competition) -> None:
    assert client.get("/v1/leaderboard").json() == {
        "competition": rules.digest,
        "round": 2,
        "champion": {"model": ANN, "hotkey": "Ann", "from_round": 1, "rounds": 2},
        "standings": [
            {
                "rank": 1,
                "hotkey": "Ann",
                "share": 0.625,
                "gain": 0.08,
                "champion": True,
                "records": [ANNS_RECORD],
            }
        ],
        "remainder": 0.375,
        "weights": {"round": 1, "state": "confirmed"},
    }


def test_weights_are_the_newest_row_of_the_outbox(client: TestClient) -> None:
    assert client.get("/v1/weights").json() == {
        "round": 1,
        "state": "confirmed",
        "reason": None,
        "vector": {"Ann": 0.625, "Owner": 0.375},
        "uids": {"0": 39321, "3": 65535},
        "planned_block": 181,
        "done_block": 185,
    }


def test_winner_sees_verdict_interval_and_record(client: TestClient, rules: Competition) -> None:
    assert one(client, "Ann") == {
        "hotkey": "Ann",
        "commit_block": 110,
        "fetch_until_block": None,
        "competition": rules.digest,
        "digest": "sha256:" + "6e" * 32,
        "model": ANN,
        "locator": "file:Ann",
        "state": "settled",
        "seen_round": 0,
        "round": 0,
        "rank": 0,
        "settled_round": 0,
        "queue_position": None,
        "attempts": 0,
        "next_try_block": None,
        "problem": None,
        "duels": [
            {
                **SEALED_DUEL,
                "id": "d0",
                "hotkey": "Ann",
                "commit_block": 110,
                "challenger": ANN,
                "champion": BASE,
                "round": 0,
                "opens_at_block": None,
                "verdict": ANNS_VERDICT,
            }
        ],
        "record": ANNS_RECORD,
        "explanation": WON_WORDS,
        "to_win": None,
    }


def test_same_submission_is_found_by_digest_model_and_hotkey(client: TestClient) -> None:
    assert one(client, "Ann") == one(client, ANN) == one(client, "sha256:" + "6e" * 32)


def test_loser_is_told_what_a_win_takes(client: TestClient) -> None:
    loser = one(client, "Bob")
    assert (loser["explanation"], loser["to_win"]) == (
        "lost: proven worse than the champion (mean difference -0.400, 98.44% interval [-0.700, -0.050],"
        " 32 prompts)",
        "a lower bound above +0.010 and a confirmation on fresh prompts; a true difference of +0.081 or more"
        " is found with probability 0.8",
    )


def test_refusal_names_code_message_help_and_fault(client: TestClient) -> None:
    refused = one(client, "Cat")
    assert refused["problem"] == {
        "code": "dtype_forbidden",
        "message": "model.safetensors: F64",
        "help": "save the tensors in a dtype that the competition allows",
        "fault": "miner",
    }
    assert refused["explanation"] == "rejected: model.safetensors: F64"


def test_parked_submission_says_whose_fault_and_when_again(client: TestClient) -> None:
    parked = one(client, "Fay")
    assert parked["next_try_block"] == 240
    assert parked["explanation"] == (
        "parked for a fault of the network: no answer; it keeps its place; tried again from block 240"
    )


def test_a_slot_says_how_long_the_files_are_waited_for(client: TestClient, ledger: SimpleNamespace) -> None:
    def give_slot(session: Session) -> None:
        row = session.get_one(SubmissionRow, ("Gil", 220))
        row.state, row.round, row.rank, row.fetch_from = "slotted", 3, 0, 262

    assert one(client, "Gil")["fetch_until_block"] is None
    ledger.change(give_slot)
    fetch_blocks = 10
    assert one(client, "Gil")["fetch_until_block"] == 262 + fetch_blocks


def test_waiting_submission_knows_its_place(client: TestClient) -> None:
    waiting = one(client, "Hal")
    assert waiting["queue_position"] == 2
    assert waiting["explanation"] == (
        "waits for a slot: position 2 in the queue, 4 slots a round, so at the earliest in the next round to"
        " give slots; a hotkey that rests after a duel is passed over"
    )


def test_pages_join_into_the_whole_list(client: TestClient) -> None:
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = client.get(
            "/v1/submissions", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [item["hotkey"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == ["Hal", "Gil", "Fay", "Eve", "Cat", "Bob", "Ann"]


def expected_path(ledger: SimpleNamespace) -> list[dict[str, float]]:
    """The interval after 16 and 32 rows, straight from the statistics."""
    d: list[float] = []
    order = select(DuelPromptRow.d).where(DuelPromptRow.duel == "d0").order_by(DuelPromptRow.position)
    ledger.change(lambda session: d.extend(session.scalars(order)))
    points = []
    for prompts in (16, 32):
        seen = np.array(d[:prompts])
        lower, upper = confidence_sequence(seen, 0.015625)
        wealth = log_wealth(seen, 0.01)
        numbers = {"mean": float(seen.mean()), "lower": lower, "upper": upper, "log_wealth": wealth}
        points.append({"prompts": prompts, **{name: round(value, 4) for name, value in numbers.items()}})
    return points


def test_open_duel_shows_path_aggregates_and_root(ledger: SimpleNamespace, client: TestClient) -> None:
    path = expected_path(ledger)
    assert client.get("/v1/duels/d0").json() == {
        **SEALED_DUEL,
        "id": "d0",
        "hotkey": "Ann",
        "commit_block": 110,
        "challenger": ANN,
        "champion": BASE,
        "round": 0,
        "opens_at_block": None,
        "verdict": ANNS_VERDICT,
        "log_wealth": path[-1]["log_wealth"],
        "path": path,
        "slices": [
            {"name": "chat", "prompts": 24, "mean": 0.2},
            {"name": "words", "prompts": 8, "mean": None},
        ],
        "kl": 2.0,
        "extra_tokens": 1.0,
        "rows": {"count": 32, "root": "sha256:" + "32" * 32, "sealed_until_round": 2},
        "explanation": WON_WORDS,
        "to_win": None,
    }


def test_sealed_duel_tells_only_that_it_runs(client: TestClient) -> None:
    assert client.get("/v1/duels/d2").json() == {
        **SEALED_DUEL,
        "log_wealth": None,
        "path": [],
        "slices": [],
        "kl": None,
        "extra_tokens": None,
        "rows": {"count": 32, "root": None, "sealed_until_round": 4},
        "explanation": SEALED_WORDS,
        "to_win": None,
    }


def test_sealed_round_hides_outcomes_and_statement(client: TestClient, rules: Competition) -> None:
    sealed = {
        "competition": rules.digest,
        "number": 2,
        "state": "dueling",
        "close_block": 219,
        "close_hash": f"0x{2:064x}",
        "next_hash": f"0x{3:064x}",
        "seed": "sha256:" + "20" * 32,
        "source": "snapshot",
        "slots_given": 2,
        "trial": 1,
        "champion": ANN,
        "crowned": None,
        "opens_at_block": 259,
        "statement": None,
        "slots": [
            {
                "rank": 0,
                "hotkey": "Eve",
                "commit_block": 190,
                "digest": "sha256:" + "be" * 32,
                "model": EVE,
                "state": "dueling",
                "code": None,
                "outcome": None,
                "duel": "d2",
            },
            {
                "rank": 1,
                "hotkey": "Fay",
                "commit_block": 192,
                "digest": "sha256:" + "c0" * 32,
                "model": None,
                "state": "parked",
                "code": "store_unreachable",
                "outcome": None,
                "duel": None,
            },
        ],
    }
    assert client.get("/v1/rounds/2").json() == sealed
    assert client.get("/v1/rounds/2", params={"competition": rules.digest}).json() == sealed
    response = client.get("/v1/rounds/2/statement")
    assert (response.status_code, response.json()) == (
        404,
        {
            "code": "not_found",
            "message": "the statement of round 2 is not served yet",
            "help": "ask again once block 259 is final, or the round is settled",
            "fault": "user",
        },
    )


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(update(MetaRow).values(head=259), id="next close"),
        pytest.param(update(RoundRow).values(state="settled"), id="settled"),
    ],
)
def test_round_opens_at_the_next_close_or_when_settled(
    ledger: SimpleNamespace, client: TestClient, opening: Any
) -> None:
    ledger.change(lambda session: session.execute(opening))
    assert client.get("/v1/rounds/2/statement").status_code == 200
    assert client.get("/v1/duels/d2").json()["verdict"] == ANNS_VERDICT
    assert client.get("/v1/events").json()["items"][-1]["kind"] == "verdict.won"


def test_statement_is_served_as_signed(client: TestClient, signer: Keypair) -> None:
    response = client.get("/v1/rounds/0/statement")
    signed = Signed.model_validate_json(response.content)
    verify(signed)
    assert signed.author == signer.ss58_address
    assert client.get("/v1/rounds/0").json()["slots"][0]["outcome"] == "won"


def test_competition_says_what_its_numbers_prove(client: TestClient, rules: Competition) -> None:
    answer = client.get("/v1/competition").json()
    proves = answer.pop("proves")
    assert answer == {
        "digest": rules.digest,
        "rules": rules.model_dump(mode="json"),
        "head": 230,
        "round": 3,
        "closes_at_block": 259,
        "champion": {"model": ANN, "hotkey": "Ann", "from_round": 1, "rounds": 2},
        "guarantee": GUARANTEE,
    }
    assert {name: round(value, 4) for name, value in proves.items()} == {
        "alpha": 0.0039,
        "slots": 4,
        "assumed_sd": 0.42,
        "one_round": 0.1332,
        "with_carries": 0.0811,
        "confirmed": 0.0888,
    }


def test_feed_goes_on_after_an_event_and_seals_verdicts(client: TestClient) -> None:
    assert client.get("/v1/events", params={"after": 2}).json() == {
        "items": [
            {"id": 3, "kind": "weights.confirmed", "block": 185, "body": {"round": 1, "reason": None}},
            {
                "id": 4,
                "kind": "verdict.sealed",
                "block": 228,
                "body": {"duel": "d2", "hotkey": "Eve", "block": 259},
            },
        ],
        "last_id": 4,
    }
    assert client.get("/v1/events", params={"after": 4}).json() == {"items": [], "last_id": 4}
