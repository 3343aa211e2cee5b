"""What the API never does: invent, write, leak what is sealed, or answer in another shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from sqlalchemy import select
from sqlalchemy.orm import Session

from validator.api.app import create_app
from validator.ledger.tables import DuelPromptRow, EventRow

PATHS = (
    "/v1/competition",
    "/v1/leaderboard",
    "/v1/weights",
    "/v1/submissions",
    "/v1/submissions/Ann",
    "/v1/duels/d0",
    "/v1/rounds/0",
    "/v1/rounds/0/statement",
)
SECRET_PATHS = (*PATHS, "/health", "/v1/events", "/v1/duels/d1", "/v1/duels/d2", "/v1/rounds/2")


@pytest.mark.parametrize("path", PATHS)
def test_empty_ledger_answers_no_data_and_invents_nothing(empty_client: TestClient, path: str) -> None:
    response = empty_client.get(path)
    named = path in {"/v1/submissions/Ann", "/v1/duels/d0"}
    assert response.status_code == 404
    assert set(response.json()) == {"code", "message", "help", "fault"}
    assert response.json()["code"] == ("not_found" if named else "no_data")


def test_empty_feed_is_an_empty_page(empty_client: TestClient) -> None:
    assert empty_client.get("/v1/events").json() == {"items": [], "last_id": 0}


@pytest.mark.parametrize("path", [*PATHS, "/v1/events"])
def test_missing_ledger_is_503_with_help(tmp_path: Path, path: str) -> None:
    with TestClient(create_app(f"sqlite:///{tmp_path / 'none' / 'ledger.db'}")) as client:
        response = client.get(path)
    assert (response.status_code, response.json()) == (
        503,
        {
            "code": "ledger_missing",
            "message": "there is no ledger yet",
            "help": "run `agon-validator run` first, or pass --ledger",
            "fault": "validator",
        },
    )
    assert not (tmp_path / "none").exists()


def test_ledger_may_come_after_the_api_and_go_before_it(ledger: SimpleNamespace, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.db"
    ledger.path.rename(hidden)
    with TestClient(create_app(ledger.url)) as client:
        assert client.get("/v1/leaderboard").status_code == 503
        hidden.rename(ledger.path)
        assert client.get("/v1/leaderboard").status_code == 200
        ledger.path.unlink()
        assert client.get("/v1/leaderboard").status_code == 503


def test_reading_changes_no_byte(ledger: SimpleNamespace, client: TestClient) -> None:
    before = hashlib.sha256(ledger.path.read_bytes()).hexdigest()
    for path in SECRET_PATHS:
        client.get(path)
        assert client.post(path).status_code == 405
    assert hashlib.sha256(ledger.path.read_bytes()).hexdigest() == before


def test_no_prompt_completion_or_single_score_leaves(ledger: SimpleNamespace, client: TestClient) -> None:
    def single_scores(session: Session) -> None:
        for row in session.scalars(select(DuelPromptRow)):
            secret.update((row.s_challenger, row.s_champion, row.d))

    secret: set[float] = {0.777123}
    ledger.change(single_scores)
    event = EventRow(
        kind="look", body={"round": 2, "prompt": "SECRET-PROMPT", "scores": [0.777123]}, created_block=230
    )
    ledger.change(lambda session: session.add(event))
    for path in SECRET_PATHS:
        text = client.get(path).text
        assert "SECRET" not in text
        assert secret.isdisjoint(numbers_in(json.loads(text))), path


def test_sealed_verdict_is_nowhere(client: TestClient) -> None:
    for path in ("/v1/submissions/Eve", "/v1/duels/d2", "/v1/rounds/2"):
        text = client.get(path).text
        assert "won" not in text
        assert "confirmed" not in text
        assert "gain" not in text.replace("ask again", "")


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        pytest.param("/v1/nothing", 404, "not_found", id="no route"),
        pytest.param("/v1/rounds/9", 404, "not_found", id="no round"),
        pytest.param("/v1/rounds/-1", 422, "usage", id="negative round"),
        pytest.param("/v1/rounds/99999999999999999999", 422, "usage", id="huge round"),
        pytest.param("/v1/rounds/0?competition=sha256:" + "ab" * 32, 404, "not_found", id="no competition"),
        pytest.param("/v1/duels/d'--", 422, "usage", id="no identifier"),
        pytest.param("/v1/submissions?cursor=1", 422, "usage", id="no cursor"),
        pytest.param("/v1/submissions?limit=101", 422, "usage", id="page too long"),
    ],
)
def test_refusals_have_one_shape(client: TestClient, path: str, status: int, code: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "message", "help", "fault"}


def test_broken_evidence_is_500_without_the_inside(ledger: SimpleNamespace) -> None:
    ledger.change(lambda session: session.connection().exec_driver_sql("update duels set verdict = '{}'"))
    with TestClient(create_app(ledger.url), raise_server_exceptions=False) as client:
        response = client.get("/v1/submissions/Ann")
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "validation" not in response.text


def test_every_route_is_documented_with_its_model(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    found = {
        path: item["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition(
            "/"
        )[2]
        for path, item in document["paths"].items()
    }
    assert found == {
        "/health": "Health",
        "/v1/competition": "CompetitionView",
        "/v1/leaderboard": "Leaderboard",
        "/v1/weights": "WeightsView",
        "/v1/submissions": "SubmissionPage",
        "/v1/submissions/{key}": "SubmissionPage",
        "/v1/duels/{duel}": "DuelView",
        "/v1/rounds/{number}": "RoundView",
        "/v1/rounds/{number}/statement": "Signed",
        "/v1/events": "EventPage",
    }
    page = client.get("/docs").text
    assert all(path in page for path in found)
    assert "http" not in page.replace('href="/openapi.json"', "").replace("https:", "http:")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_answers_fit_the_published_schema(ledger: SimpleNamespace, mode: GenerationMode) -> None:
    app = create_app(ledger.url, clock=lambda: 1_700_000_012)
    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        assert isinstance(found, Ok)
        operation: Any = found.ok()
        takes_any = operation.path_parameters or operation.query
        if mode is GenerationMode.NEGATIVE and not takes_any:
            continue

        @given(operation.as_strategy(generation_mode=mode))
        @settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
        def fits(case: Any) -> None:
            case.call_and_validate()

        fits()


def test_manual_names_every_path_and_model(client: TestClient) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    for path, item in client.get("/openapi.json").json()["paths"].items():
        reference = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert f"| `GET {path}` | `{reference.rpartition('/')[2]}` |" in manual
