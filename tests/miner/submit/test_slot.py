"""Publishing waits for the slot: who asks a validator keeps the files private until its own round."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import miner.submit.steps


class _Validator(BaseHTTPRequestHandler):
    """Says the next of `states` at every question, and the last one for ever."""

    states: list[dict[str, Any]] = []
    commit_block = 0

    def do_GET(self) -> None:
        said = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        item = {"commit_block": self.commit_block, "explanation": "so it is", "round": None, **said}
        status = said.get("status", 200)
        body = json.dumps({"items": [item], "next_cursor": None}).encode() if status == 200 else b"<html>"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def validator() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Validator)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed(world: Any, validator: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A committed submission whose first round has closed, and a validator that knows it."""
    monkeypatch.setenv("AGON_API", validator)
    monkeypatch.setattr(miner.submit.steps, "ASK_AGAIN_S", 0.01)
    document = world.run_json("submit", world.package, "--locator", "file:mine", "--no-wait")
    _Validator.commit_block = document["commit_block"]
    world.advance_to(document["close_block"])
    return world


def test_without_a_slot_nothing_becomes_readable(closed: Any) -> None:
    _Validator.states = [{"state": "waiting"}]
    document = closed.run_json("submit", "--resume", "--no-wait")
    assert document["state"] == "finalised"
    assert "--resume" in document["next"]
    assert list(closed.settings.store.iterdir()) == []


def test_a_slot_of_a_later_round_opens_the_files(closed: Any) -> None:
    slot = {"state": "slotted", "round": 3, "fetch_until_block": 91}
    _Validator.states = [{"state": "waiting"}, {"status": 503}, {"state": "waiting"}, slot]
    document = closed.run_json("submit", "--resume")
    assert (document["state"], document["round"], document["close_block"]) == ("verified", 3, 79)
    assert document["readable_until_block"] == 91
    assert (closed.settings.store / "mine" / "manifest.json").exists()


def test_another_commitment_of_the_same_digest_opens_nothing(closed: Any) -> None:
    _Validator.states = [{"state": "slotted", "round": 0, "commit_block": 1}]
    assert closed.run_json("submit", "--resume", "--no-wait")["state"] == "finalised"
    assert list(closed.settings.store.iterdir()) == []


def test_a_submission_that_fell_out_of_the_queue_stays_private(closed: Any) -> None:
    _Validator.states = [{"state": "expired"}]
    result = closed.run("submit", "--resume")
    assert (result.exit_code, "error: not_in_queue" in result.stderr) == (1, True)
    assert list(closed.settings.store.iterdir()) == []
