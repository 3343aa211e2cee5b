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
from scripts.demo.judges import PROXY_MIX, Answer, JudgeRecipe, corrupt, train_judge
from shared.checkpoints.bundle import write_base_table, write_rules
from shared.checkpoints.manifest import build_manifest
from shared.competitions.pools import Purpose, load_prompt_source, make_pool
from shared.engines.hf import Policy, load_policy
from shared.engines.sampler import Request, sample
from shared.engines.tiny import build_tiny_policy, build_tiny_trunk
from shared.protocol.competition import CompletionCounts, EngineClass, Sampling, SamplingLimits
from shared.protocol.loader import parse_competition, read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.types import SliceName

ZERO = "sha256:" + "0" * 64
TINY_JUDGE = JudgeRecipe(learning_rate=1e-2)

Ask = Callable[[Purpose, int], list[Answer]]


def prompts_of(purpose: Purpose, count: int) -> list[Prompt]:
    """`count` prompts of every slice."""
    source = load_prompt_source()
    return [prompt for name in source.slices for prompt in make_pool(source, name, purpose, count)]


@pytest.fixture(scope="session")
def rules() -> Sampling:
    """Sampling as in the demo competition."""
    return Sampling(
        limits=SamplingLimits(prompt_tokens=96, new_tokens=24),
        temperature=0.8,
        samples=CompletionCounts(challenger=1, champion=2),
        engine=EngineClass(threads=1, batch=64),
        stop_ids=(2,),
    )


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model of seed 1."""
    target = tmp_path_factory.mktemp("tiny") / "base"
    build_tiny_policy(1, target)
    return target


@pytest.fixture(scope="session")
def tiny_trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny judge trunk of seed 1."""
    target = tmp_path_factory.mktemp("tiny") / "trunk"
    build_tiny_trunk(1, target)
    return target


@pytest.fixture(scope="session")
def tiny_policy(tiny_base: Path) -> Policy:
    """The tiny base model, loaded."""
    return load_policy(tiny_base)


@pytest.fixture(scope="session")
def ask(tiny_policy: Policy, rules: Sampling) -> Ask:
    """The base's finished answers to `count` prompts of every slice."""

    def answers(purpose: Purpose, count: int) -> list[Answer]:
        prompts = prompts_of(purpose, count)
        requests = [Request(tiny_policy.render(prompt.text, 96), seed) for seed, prompt in enumerate(prompts)]
        drawn = sample(tiny_policy, requests, rules)
        return [
            Answer(prompt.text, tiny_policy.text(row.token_ids[:-1]))
            for prompt, row in zip(prompts, drawn, strict=True)
            if row.finished
        ]

    return answers


@pytest.fixture
def task(tiny_base: Path, tiny_proxy: Path, rules: Sampling) -> TrainingTask:
    """A miner's task on the tiny base."""
    return TrainingTask(
        base=tiny_base,
        prompts=prompts_of("public", 60),
        verifiers={SliceName("constraints"): "word-limit-1"},
        proxy=tiny_proxy,
        sampling=rules,
    )


@pytest.fixture
def bundle(tiny_base: Path, tiny_proxy: Path, rules: Sampling, tmp_path: Path, prompt_lines: bytes) -> Path:
    """A public copy of a bundle: what a miner has."""
    root = tmp_path / "bundle"
    shutil.copytree(tiny_base, root / "base")
    shutil.copytree(tiny_proxy, root / "public/proxy")
    (root / "public/prompts.jsonl").write_bytes(prompt_lines)
    document: dict[str, Any] = read_rules(Path(shared.competitions.__path__[0]) / "demo.toml")
    document["base"] = {"digest": build_manifest(root / "base").digest}
    document["architecture"]["table"] = write_base_table(root)
    document["sampling"] = rules.model_dump(mode="json")
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
            {"prompt": pair.prompt, "chosen": pair.good, "rejected": pair.bad}
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


@pytest.fixture(scope="session")
def tiny_proxy(tmp_path_factory: pytest.TempPathFactory, tiny_trunk: Path, ask: Ask) -> Path:
    """A proxy judge for the tiny base."""
    target = tmp_path_factory.mktemp("tiny") / "proxy"
    return train_judge(tiny_trunk, corrupt(ask("proxy", 96), PROXY_MIX, seed=1), target, 1, TINY_JUDGE)
