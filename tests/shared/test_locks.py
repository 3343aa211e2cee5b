"""One process at a time in a state directory, and no lock outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import AgonError
from shared.locks import sole_process

HOLDER = """
import sys, pathlib
from shared.locks import sole_process
with sole_process(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AgonError) as refused, sole_process(state):
            pass
        assert (refused.value.code, str(holder.pid) in refused.value.message) == ("state_in_use", True)
        os.kill(holder.pid, signal.SIGKILL)
    with sole_process(state):
        pass


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    with sole_process(tmp_path):
        pass
    with sole_process(tmp_path):
        assert (tmp_path / "process.lock").read_text() == str(os.getpid())
