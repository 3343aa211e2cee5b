"""The seam to the children: lies are refused, deaths are survived, and nobody is left behind."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.engines.engine import CompletionJob
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.competition import CompletionCounts, EngineClass, Sampling, SamplingLimits
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.sandbox.process import Child

Start = Callable[..., Child]

LIES = {
    "a length that is too short": 'os.write(1, b"5\\n{\\"id\\": 2}\\n")',
    "a length that is not a number": 'os.write(1, b"-5\\n{\\"id\\": 2}\\n")',
    "a length without end": 'os.write(1, b"9" * 100000)',
    "a length beyond the bound": 'os.write(1, b"9999999999\\n{}\\n")',
    "an endless answer": 'os.write(1, b"60000000\\n"); os.write(1, b"x" * 100)',
    "not JSON": 'raw(b"abc")',
    "not UTF-8": 'raw(b"\\xff\\xfe")',
    "not an object": 'raw(b"[]")',
    "a deep nest": 'raw(b"[" * 10**6)',
    "a number with a million digits": """raw(b'{"id": 2, "result": {"x":' + b"9" * 10**6 + b"}}")""",
    "NaN": """raw(b'{"id": 2, "result": {"x": NaN}}')""",
    "an infinity": """raw(b'{"id": 2, "result": {"x": -Infinity}}')""",
    "another request's answer": 'send({"id": 1, "result": {}})',
    "no result": 'send({"id": 2})',
    "a result that is no object": 'send({"id": 2, "result": 5})',
    "nothing at all": "sys.exit(0)",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_child_is_refused(start_liar: Start, lie: str) -> None:
    child = start_liar(LIES[lie], timeout_s=5)
    with pytest.raises(TransientError) as caught:
        child.call({"op": "work"})
    assert caught.value.code == "child_failed"
    assert child.pid is None


def test_a_child_that_never_answers_is_ended(start_liar: Start) -> None:
    child = start_liar("import time; time.sleep(3600)", timeout_s=0.2)
    with pytest.raises(TransientError, match="in time"):
        child.call({"op": "work"})
    assert child.pid is None


def test_a_child_that_reads_nothing_cannot_block_its_parent(start_liar: Start) -> None:
    child = start_liar("import time; time.sleep(3600)", timeout_s=0.2)
    with pytest.raises(TransientError, match="in time"):
        child.call({"op": "work", "ballast": "x" * 2_000_000})


def test_closing_does_not_wait_for_the_call_under_way(start_liar: Start) -> None:
    child = start_liar("import time; time.sleep(3600)", timeout_s=3600)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(child.call, {"op": "work"})
        while not call.done():  # the first close may come before the call
            child.close()
        with pytest.raises(TransientError, match="child_failed"):
            call.result()
    assert child.pid is None


def test_a_child_may_report_only_known_faults(start_liar: Start) -> None:
    report = 'send({"id": 2, "error": {"code": "%s", "message": "m"}})'
    with pytest.raises(Rejection, match="non_finite_policy"):
        start_liar(report % "non_finite_policy").call({"op": "work"})
    with pytest.raises(AgonError, match="judge_non_finite"):
        start_liar(report % "judge_non_finite").call({"op": "work"})
    with pytest.raises(TransientError, match="child_failed"):
        start_liar(report % "ledger_conflict").call({"op": "work"})


def test_a_call_starts_the_child_and_a_death_is_survived(start: Start) -> None:
    child = start()
    assert child.pid is None
    assert child.call({"op": "one"}) == {"echo": "one"}
    first = child.pid
    with pytest.raises(TransientError):
        child.call({"op": "die"})
    assert child.pid is None
    assert child.call({"op": "two"}) == {"echo": "two"}
    assert child.pid not in (None, first)


def test_a_child_killed_between_calls_is_started_again(start: Start) -> None:
    child = start()
    child.call({"op": "one"})
    assert child.pid and child._process
    os.kill(child.pid, signal.SIGKILL)
    child._process.wait()
    assert child.call({"op": "two"}) == {"echo": "two"}


def test_prints_never_reach_the_answers(start: Start, tmp_path: Path) -> None:
    child = start()
    assert child.call({"op": "print"}) == {"echo": "print"}
    child.close()
    assert "noise on stdout" in (tmp_path / "child.log").read_text()


def test_a_child_sees_no_wallet_and_no_settings(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BT_WALLET", "BT_WALLET_PASSWORD", "AGON_SECRET", "HF_TOKEN", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "secret")
    names = set(start().call({"op": "environment"})["names"])
    assert not {"BT_WALLET", "BT_WALLET_PASSWORD", "AGON_SECRET", "HF_TOKEN", "HTTPS_PROXY"} & names


def test_an_isolated_child_has_no_network(start: Start) -> None:
    source = """
import socket
from shared.sandbox.worker import serve
def handle(request):
    if request["op"] == "open":
        return {}
    try:
        socket.create_connection(("127.0.0.1", request["port"]), 2).close()
    except OSError:
        return {"reached": False}
    return {"reached": True}
serve("fake", handle, isolate=True)
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = start(source)
        reached = child.call({"op": "connect", "port": server.getsockname()[1]})["reached"]
    if not child.isolated:
        pytest.skip("this system does not allow a network namespace")
    assert reached is False


def test_closing_ends_a_busy_child(start: Start) -> None:
    child = start(timeout_s=0.1)
    with pytest.raises(TransientError):
        child.call({"op": "spin"})
    assert child.pid is None


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(
        "import os\nfrom shared.sandbox.worker import serve\n"
        "serve('fake', lambda request: {'pid': os.getpid()}, isolate=True)\n"
    )
    parent = (
        "import sys\nfrom shared.sandbox.process import Child\n"
        f"child = Child([sys.executable, {str(fake)!r}], {{}})\n"
        "print(child.call({'op': 'x'})['pid'], flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert process.stdout and process.stdin
    pid = int(process.stdout.readline())
    descriptor = os.pidfd_open(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    assert select.select([descriptor], [], [], 30)[0], "the child outlived its parent"
    os.close(descriptor)


RULES = Sampling(
    limits=SamplingLimits(prompt_tokens=50, new_tokens=3),
    temperature=1.0,
    samples=CompletionCounts(challenger=1, champion=1),
    engine=EngineClass(threads=1, batch=2),
    stop_ids=(2,),
)
GOOD = {"token_ids": [5, 2], "text": "hi", "finished": True, "logprob": -3.0, "base_logprob": -4.0}


class FixedSampler(SamplerChild):
    """A sampler child whose raw answer is handed in."""

    def __init__(self, base: Path, items: object) -> None:
        super().__init__(base, RULES)
        self.items = items

    def call(self, request: object) -> dict[str, object]:
        return {"completions": self.items}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 10}))
    return tmp_path


def test_an_honest_completion_passes(base: Path) -> None:
    [completion] = FixedSampler(base, [GOOD]).complete(base, [CompletionJob("x", 1)])
    assert completion.model_dump() == {**GOOD, "token_ids": (5, 2)}


@pytest.mark.parametrize(
    "change",
    [
        {"token_ids": [10, 2]},
        {"token_ids": [-1, 2]},
        {"token_ids": [True, 2]},
        {"token_ids": [5.0, 2]},
        {"token_ids": [], "finished": False},
        {"token_ids": [5, 5, 5, 2]},
        {"token_ids": [2, 2]},
        {"token_ids": [5], "finished": False},
        {"token_ids": [5, 5, 5], "finished": True},
        {"finished": False},
        {"logprob": 0.5},
        {"base_logprob": 0.5},
        {"logprob": "-3"},
        {"logprob": None},
        {"text": "x" * 5000},
        {"extra": 1},
    ],
)
def test_a_completion_that_the_sampler_cannot_draw_is_refused(base: Path, change: dict[str, object]) -> None:
    with pytest.raises(TransientError) as caught:
        FixedSampler(base, [{**GOOD, **change}]).complete(base, [CompletionJob("x", 1)])
    assert caught.value.code == "child_failed"


@pytest.mark.parametrize("items", [[], [GOOD, GOOD], None, {"0": GOOD}, [None], ["x"]])
def test_an_answer_of_another_length_is_refused(base: Path, items: object) -> None:
    with pytest.raises(TransientError):
        FixedSampler(base, items).complete(base, [CompletionJob("x", 1)])


class FixedJudge(JudgeChild):
    """A judge child whose raw answer is handed in."""

    def __init__(self, rewards: object) -> None:
        super().__init__({})
        self.rewards = rewards

    def call(self, request: object) -> dict[str, object]:
        return {"rewards": self.rewards}


@pytest.mark.parametrize("rewards", [[float("nan")], [float("inf")], [True], ["1"], [None]])
def test_a_reward_that_is_no_finite_number_raises(rewards: object) -> None:
    with pytest.raises(AgonError) as caught:
        FixedJudge(rewards).reward("a", [("p", "c")])  # type: ignore[arg-type]
    assert caught.value.code == "judge_non_finite"


def test_rewards_of_another_length_are_refused() -> None:
    with pytest.raises(TransientError):
        FixedJudge([1.0, 2.0]).reward("a", [("p", "c")])  # type: ignore[arg-type]
