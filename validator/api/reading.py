"""Reading: the API's one way to the ledger, read-only, opened when it is there.

The ledger may appear after the API has started, and it may go away; each read finds out anew. Nothing
is cached, and nothing can be written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from shared.errors import AgonError
from validator.ledger.database import Ledger, open_reader

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Reading:
    """A ledger to be read, and the clock and block time that its age is told by."""

    url: str
    clock: Callable[[], float]
    """Unix seconds."""
    block_time_s: float
    _ledger: Ledger | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def now_s(self) -> int:
        """Whole Unix seconds."""
        return int(self.clock())

    def read(self, step: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `step(session, ...)` in one short read. Raises AgonError `ledger_missing` without a ledger."""
        return self._open().run(step, *args, **kwargs)

    def close(self) -> None:
        """Release the connections; the next read opens them again."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger = None

    def _open(self) -> Ledger:
        parsed = make_url(self.url)
        is_file = parsed.get_backend_name() == "sqlite"
        # an open connection outlives its deleted file and would answer from a ghost
        if is_file and not Path(parsed.database or "").is_file():
            self.close()
            raise AgonError("ledger_missing", "there is no ledger yet")
        with self._lock:
            if self._ledger is None:
                self._ledger = open_reader(self.url)
            return self._ledger
