"""Fake children: small scripts that speak the protocol, or break it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.sandbox.process import Child

HONEST = """
from shared.sandbox.worker import serve
import os
def handle(request):
    if request["op"] == "open":
        return {}
    if request["op"] == "die":
        os._exit(3)
    if request["op"] == "spin":
        while True:
            pass
    if request["op"] == "print":
        print("noise on stdout")
        os.write(1, b"7\\n{}")
    if request["op"] == "environment":
        return {"names": sorted(os.environ)}
    return {"echo": request["op"]}
serve("fake", handle, isolate=True)
"""

LIAR = """
import json, os, sys
def send(value):
    data = json.dumps(value).encode()
    os.write(1, b"%d\\n%s\\n" % (len(data), data))
send({"child": "liar", "isolated": False})
line = sys.stdin.buffer.readline(); sys.stdin.buffer.read(int(line) + 1)
send({"id": 1, "result": {}})
line = sys.stdin.buffer.readline(); sys.stdin.buffer.read(int(line) + 1)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Start a child from source; all are closed at the end."""
    children: list[Child] = []

    def _start(source: str = HONEST, **options: Any) -> Child:
        script = tmp_path / f"child{len(children)}.py"
        script.write_text(source)
        child = Child([sys.executable, str(script)], {}, log=tmp_path / "child.log", **options)
        children.append(child)
        return child

    yield _start
    for child in children:
        child.close()


@pytest.fixture
def start_liar(start: Callable[..., Child]) -> Callable[..., Child]:
    """A child that opens well and then runs `answer` (Python source) instead of answering."""

    def _start(answer: str, **options: Any) -> Child:
        return start(LIAR + answer, **options)

    return _start
