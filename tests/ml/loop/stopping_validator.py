"""`agon-validator` that stops itself (SIGSTOP) at one transition of its ledger; a test then kills it there.

Arguments: name of the transition, its how-manieth call, "before" or "after" its commit, then the command.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from validator.cli import app
from validator.ledger.database import Ledger


def main() -> None:
    name, count, when, *command = sys.argv[1:]
    run, calls = Ledger.run, 0

    def run_and_stop(ledger: Ledger, step: Callable[..., Any], *args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += step.__name__ == name
        here = step.__name__ == name and calls == int(count)
        if here and when == "before":
            os.kill(os.getpid(), signal.SIGSTOP)
        found = run(ledger, step, *args, **more)
        if here and when == "after":
            os.kill(os.getpid(), signal.SIGSTOP)
        return found

    Ledger.run = run_and_stop  # type: ignore[method-assign, assignment]
    app(command)


if __name__ == "__main__":
    main()
