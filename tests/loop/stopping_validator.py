"""`agon-validator` that stops itself (SIGSTOP) at one transition of its ledger; a test then kills it there.

Arguments: name of the transition, its how-manieth call, "before" or "after" its commit, then the command.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from validator.cli.main import app
from validator.ledger.database import Ledger


def stop() -> None:
    """Stop the process, and this thread at once: the signal may reach another thread first."""
    os.kill(os.getpid(), signal.SIGSTOP)
    threading.Event().wait()


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start without it
    name, count, when, *command = sys.argv[1:]
    run, calls = Ledger.run, 0

    def run_and_stop(ledger: Ledger, step: Callable[..., Any], *args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += step.__name__ == name
        here = step.__name__ == name and calls == int(count)
        if here and when == "before":
            stop()
        found = run(ledger, step, *args, **more)
        if here and when == "after":
            stop()
        return found

    Ledger.run = run_and_stop  # type: ignore[method-assign, assignment]
    app(command)


if __name__ == "__main__":
    main()
