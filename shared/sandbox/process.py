"""One child process as its parent sees it: start, ask, restart, close.

`children.py` makes the two real ones. A child is never believed: frames are bounded and have deadlines,
and only listed faults are passed on. It sees nothing of our environment but what is named here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import shared
from shared.errors import AgonError, Rejection, TransientError
from shared.sandbox.frames import FrameError, FrameReader, write_frame
from shared.sandbox.worker import PARENT_VARIABLE, THREADS_VARIABLE

START_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 3600.0
CLOSE_TIMEOUT_S = 5.0
CLOSE_POLL_S = 0.05
_REJECTIONS = frozenset({"non_finite_policy", "architecture_mismatch", "header_invalid"})
_ERRORS = frozenset({"base_unavailable", "competition_invalid", "judge_invalid", "judge_non_finite"})
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")


class Child:
    """One subprocess that answers framed requests; started at the first call, again after a death."""

    def __init__(
        self,
        command: Sequence[str],
        opening: Mapping[str, Any],
        *,
        log: Path | None = None,
        threads: int = 1,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._command = list(command)
        self._opening = dict(opening)
        self._log = log
        self._threads = threads
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._calls = 0
        self.isolated: bool | None = None
        """Whether the running child has no network; none before the first start."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id while the child lives."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process else None

    def call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The child's result for one request.

        Raises Rejection or AgonError as the child reports; TransientError `child_failed` when it died, was
        too slow or broke the protocol. The next call starts a new child.
        """
        with self._lock:
            try:
                if self.pid is None:
                    self._start()
                return self._exchange(request, self._timeout_s)
            except FrameError as error:
                self._end(grace_s=0)
                raise TransientError("child_failed", f"{self._command[-1]}: {error}") from error

    def close(self) -> None:
        """End the child: first by closing its stdin, then by SIGKILL to its process group.

        A call under way is not waited for: its child is killed, and it raises `child_failed`.
        """
        while not self._lock.acquire(timeout=CLOSE_POLL_S):
            self._kill()  # again and again: the call may be at the point of starting its child
        try:
            self._end()
        finally:
            self._lock.release()

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _start(self) -> None:
        self._end()
        log = (
            subprocess.DEVNULL
            if self._log is None
            else os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        )
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(self._threads),
                start_new_session=True,
            )
        finally:
            if self._log is not None:
                os.close(log)
        assert self._process.stdin and self._process.stdout
        self._stdin = self._process.stdin.fileno()
        os.set_blocking(self._stdin, False)
        self._reader = FrameReader(self._process.stdout.fileno())
        hello = self._reader.read(START_TIMEOUT_S)
        self.isolated = hello.get("isolated") is True
        try:
            self._exchange({"op": "open", **self._opening}, START_TIMEOUT_S)
        except AgonError:
            self._end()  # a child that did not open is not asked
            raise

    def _exchange(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        self._calls += 1
        write_frame(self._stdin, {**request, "id": self._calls}, timeout_s)
        reply = self._reader.read(timeout_s)
        if reply.get("id") != self._calls:
            raise FrameError("the answer belongs to another request")
        if "error" in reply:
            _raise_reported(reply["error"])
        result = reply.get("result")
        if not isinstance(result, dict):
            raise FrameError("the answer has no result")
        return result

    def _end(self, grace_s: float = CLOSE_TIMEOUT_S) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin and process.stdout
        process.stdin.close()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def _environment(threads: int) -> dict[str, str]:
    """What a child may see of our environment: no key, no wallet, no home, no proxy."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    count = str(threads)
    return {
        **kept,
        "PYTHONPATH": str(Path(shared.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/nonexistent",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads cost a factor of ten on a busy machine
        THREADS_VARIABLE: count,
        PARENT_VARIABLE: str(os.getpid()),
    }


def _raise_reported(error: Any) -> None:
    """Raise what the child reported; an unknown code is the child's failure."""
    fields = error if isinstance(error, dict) else {}
    code, message = str(fields.get("code")), str(fields.get("message"))[:1000]
    if code in _REJECTIONS:
        raise Rejection(code, message)
    if code in _ERRORS:
        raise AgonError(code, message)
    raise TransientError("child_failed", message)
