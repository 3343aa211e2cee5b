"""Locks: one process at a time in a state directory.

The lock belongs to the open file, so a killed process releases it and no stale lock can remain.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import AgonError

LOCK_NAME = "process.lock"


@contextmanager
def sole_process(state: Path) -> Iterator[None]:
    """Hold the directory `state` for this process. Raises AgonError `state_in_use` when another holds it."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / LOCK_NAME).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AgonError("state_in_use", f"process {lock.read().strip()} works in {state}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
