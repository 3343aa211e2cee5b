"""Status prints what a validator says, and says so when it says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

DIGEST = "sha256:" + "1" * 64
VIEW = {
    "hotkey": "5F",
    "commit_block": 7,
    "digest": DIGEST,
    "model": None,
    "locator": "file:mine",
    "state": "rejected",
    "round": 0,
    "problem": {"code": "duplicate", "message": "same tensors", "help": "train", "fault": "miner"},
    "explanation": "It was refused.",
    "to_win": None,
}


def test_my_submissions_are_shown(bare_world: Any, api: Any) -> None:
    api.answers[f"/v1/submissions/{bare_world.hotkey}"] = (200, {"items": [VIEW], "next_cursor": None})
    assert bare_world.run_json("status", "--api", api.url) == {"key": bare_world.hotkey, "items": [VIEW]}
    people = bare_world.run("status", "--api", api.url + "/").stdout
    assert "state         rejected" in people
    assert "problem       duplicate: same tensors" in people
    assert "explanation   It was refused." in people


def test_a_digest_can_be_asked_for(bare_world: Any, api: Any) -> None:
    api.answers[f"/v1/submissions/{DIGEST}"] = (200, {"items": [VIEW], "next_cursor": None})
    assert bare_world.run_json("status", "--api", api.url, "--digest", DIGEST)["items"] == [VIEW]


def test_no_data_is_said(bare_world: Any, api: Any) -> None:
    result = bare_world.run("status", "--api", api.url, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "no_data"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, b"<html>"), "api_unreachable"),
        ((200, ["x"]), "api_unreachable"),
        ((500, {}), "api_unreachable"),
        ((503, {"code": "ledger_missing", "message": "none", "help": "h"}), "ledger_missing"),
    ],
)
def test_odd_answers_are_errors(bare_world: Any, api: Any, answer: Any, code: str) -> None:
    api.answers[f"/v1/submissions/{bare_world.hotkey}"] = answer
    result = bare_world.run("status", "--api", api.url, "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (1, code)


def test_a_validator_that_is_down_is_a_network_fault(bare_world: Any) -> None:
    result = bare_world.run("status", "--api", "http://127.0.0.1:1", "--json")
    assert json.loads(result.stdout)["error"]["fault"] == "network"


def test_status_needs_an_address(bare_world: Any) -> None:
    assert bare_world.run("status").exit_code == 2
