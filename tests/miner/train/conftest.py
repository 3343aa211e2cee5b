"""A tiny world for recipes: base, trunk, judge pairs and sampling rules, made once a session."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import shared.competitions
from miner.train.task import TrainingTask
from scripts.demo.judges import PROXY_MIX, corrupt
from shared.checkpoints.bundle import write_base_table, write_rules
from shared.checkpoints.manifest import build_manifest
from shared.competitions.pools import Purpose, load_prompt_source
from shared.protocol.competition import Sampling
from shared.protocol.loader import parse_competition, read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.types import SliceName
from tests.fixtures.tiny import Ask, prompts_of

ZERO = "sha256:" + "0" * 64


@pytest.fixture
def task(tiny_base: Path, tiny_proxy: Path, tiny_rules: Sampling) -> TrainingTask:
    """A miner's task on the tiny base."""
    return TrainingTask(
        base=tiny_base,
        prompts=prompts_of("public", 60),
        verifiers={SliceName("constraints"): "word-limit-1"},
        proxy=tiny_proxy,
        sampling=tiny_rules,
    )


@pytest.fixture
def bundle(
    tiny_base: Path, tiny_proxy: Path, tiny_rules: Sampling, tmp_path: Path, prompt_lines: bytes
) -> Path:
    """A public copy of a bundle: what a miner has."""
    root = tmp_path / "bundle"
    shutil.copytree(tiny_base, root / "base")
    shutil.copytree(tiny_proxy, root / "public/proxy")
    (root / "public/prompts.jsonl").write_bytes(prompt_lines)
    document: dict[str, Any] = read_rules(Path(shared.competitions.__path__[0]) / "demo.toml")
    document["base"] = {"digest": build_manifest(root / "base").digest}
    document["architecture"]["table"] = write_base_table(root)
    document["sampling"] = tiny_rules.model_dump(mode="json")
    document["judges"] = [{"name": "a", "digest": ZERO, "from_round": 0}]
    for part in document["slices"]:
        part |= {"pool": {"root": ZERO, "size": 10_000, "clusters": 100}, "reference": ZERO}
    write_rules(root, parse_competition(document, source="test"))
    return root


@pytest.fixture
def prompt_lines(task: Any) -> bytes:
    return b"".join(canonical_json(prompt) + b"\n" for prompt in task.prompts)


@pytest.fixture(scope="session")
def unseen() -> Callable[[int], list[Prompt]]:
    """Prompts of words that no recipe trains on, in equal shares from every slice."""

    def prompts(count: int) -> list[Prompt]:
        return prompts_of("reference", count // 2)

    return prompts


@pytest.fixture
def chats(tmp_path: Path) -> Callable[[Purpose, int], Path]:
    """Writes demonstrations of one sentence for `count` prompts of every slice."""

    def write(purpose: Purpose, count: int) -> Path:
        words = load_prompt_source().words
        rows = [
            {
                "prompt": prompt.text,
                "completion": f"People like {words.with_article(prompt.id.rsplit('-', 1)[1])} a lot.",
            }
            for prompt in prompts_of(purpose, count)
        ]
        return _write_lines(tmp_path / f"chats-{purpose}.jsonl", rows)

    return write


@pytest.fixture
def pairs(tmp_path: Path, ask: Ask) -> Callable[[Purpose, int], Path]:
    """Writes the base's answers against damaged copies, for `count` prompts of every slice."""

    def write(purpose: Purpose, count: int) -> Path:
        rows = [
            {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
            for pair in corrupt(ask(purpose, count), PROXY_MIX, seed=3, per_answer=2)
        ]
        return _write_lines(tmp_path / f"pairs-{purpose}.jsonl", rows)

    return write


def _write_lines(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def constitution(tmp_path: Path) -> Path:
    """A constitution with one principle."""
    path = tmp_path / "constitution.toml"
    path.write_text(
        '[[principles]]\nname = "short"\ncritique = "Say what is too long."\n'
        'revise = "Write it shorter."\nprefer = "the shorter one"\n'
    )
    return path


@pytest.fixture
def terse_judge() -> Iterator[str]:
    """Address of a server that speaks the chat protocol and prefers the shorter of two answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked = json.loads(body["messages"][-1]["content"])
            letter = "A" if len(asked["answer_A"]) < len(asked["answer_B"]) else "B"
            answer = json.dumps({"choices": [{"message": {"content": letter}}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()
