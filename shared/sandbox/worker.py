"""The child's side of the seam: isolation, life cycle and the loop that answers requests.

`sampler_child.py` and `judge_child.py` run it. It touches no model; it makes sure that a child ends
with its parent, has no network where the system allows that, and never mixes prints into its answers.
"""

from __future__ import annotations

import ctypes
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from shared.errors import AgonError
from shared.sandbox.frames import FrameError, FrameReader, write_frame

PARENT_VARIABLE = "AGON_PARENT_PID"
THREADS_VARIABLE = "AGON_THREADS"

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

Handler = Callable[[dict[str, Any]], dict[str, Any]]


def serve(name: str, handle: Handler, *, isolate: bool) -> None:
    """Answer requests on the standard streams until the parent closes them.

    Call it before anything starts a thread: a process with threads cannot leave its user namespace.
    """
    isolated = isolate and leave_network()
    _end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.dup(1)
    os.dup2(2, 1)  # a library that prints must not write into a frame
    write_frame(answers, {"child": name, "isolated": isolated})
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests,), daemon=True).start()
    while True:
        request = requests.get()
        write_frame(answers, {"id": request.get("id"), **_answer(handle, request)})


def thread_count() -> int:
    """Threads that the parent allows this child."""
    return int(os.environ.get(THREADS_VARIABLE, "1"))


def leave_network() -> bool:
    """Whether this process could be moved to a network namespace of its own, which has no interfaces."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWUSER | _CLONE_NEWNET, _CLONE_NEWNET))


def _end_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies. The end of stdin does the same on other systems."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.environ.get(PARENT_VARIABLE, str(os.getppid())) != str(os.getppid()):
        os._exit(0)  # the parent died before the request above


def _receive(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read requests on a thread of its own, so that the end of stdin ends a busy child too."""
    reader = FrameReader(0)
    try:
        while True:
            requests.put(reader.read())
    except FrameError:
        os._exit(0)


def _answer(handle: Handler, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": handle(request)}
    except AgonError as error:
        return {"error": {"code": error.code, "message": error.message}}
    except Exception as error:  # noqa: BLE001 (the border: the parent decides, the log has the trace)
        traceback.print_exc()
        return {"error": {"code": "child_failed", "message": f"{type(error).__name__}: {error}"[:500]}}
