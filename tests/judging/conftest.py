"""Completions and references of hand-made numbers, and a real HTTP server to play a language model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stamina

from shared.protocol.evidence import Completion
from shared.protocol.reference import JudgeReference, LengthReference, Reference
from shared.types import SliceName


@pytest.fixture
def reply() -> Callable[..., Completion]:
    """A finished completion of `tokens` tokens, with `nll` nats per token under the base."""

    def _reply(text: str = "A fine answer.", tokens: int = 10, nll: float = 1.0, **fields: Any) -> Completion:
        numbers = {"logprob": -nll * tokens, "base_logprob": -nll * tokens, "finished": True}
        return Completion.model_validate({"token_ids": (5,) * tokens, "text": text, **numbers, **fields})

    return _reply


@pytest.fixture
def reference() -> Reference:
    """A slice with one judge, lengths 4 to 20 tokens and a hundred reference scores around 0."""
    return Reference(
        slice=SliceName("chat"),
        completions=100,
        judges={"a": JudgeReference(mean=0.0, sd=1.0, length_curve=((-2.0, -0.5), (2.0, 0.5)))},
        lengths=LengthReference(mean=10.0, within_sd=3.0, low=4, high=20, cluster_means={"c": 10.0}),
        u_all=tuple((i - 49.5) / 25 for i in range(100)),
        u_clusters={"rich": tuple(i / 64 for i in range(64)), "poor": (0.0,)},
        nll_high=4.0,
        s_mean=0.5,
    )


@dataclass
class JudgeServer:
    """Answers on the loopback as the test says, and remembers what it was asked."""

    url: str
    reply: Callable[[dict[str, Any]], tuple[int, str]] = lambda _: (404, "no such model")
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    """A server for one test; whoever asks it three times in vain gives up, without waiting."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append({"path": self.path, **request})
            state.keys.append(self.headers.get("Authorization"))
            status, body = state.reply(request)
            with suppress(ConnectionError):  # the client may have left
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Say nothing: the tests read what was asked."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = JudgeServer(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    with stamina.set_testing(True, attempts=3):
        yield state
    http.shutdown()
    thread.join()
    http.server_close()
