"""One entry of a governance log, as owner and validators publish it.

`shared/governance/log.py` writes and checks logs; this is only their form.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.protocol.wire import DigestField, Wire, digest_of
from shared.types import Digest, RoundNumber

EntryKind = Literal["rules", "judge", "pool", "reveal", "retire", "statement"]


class LogEntry(Wire):
    """One thing that its author committed to, linked to the entry before it."""

    seq: int = Field(ge=0)
    previous: DigestField | None
    """Digest of the entry before; none for the first."""
    kind: EntryKind
    digest: DigestField
    """Of the rules, the judge's checkpoint, the pool (its root), or the statement's body."""
    from_round: RoundNumber = Field(ge=0)
    """First round that it serves; for a statement, the round it is about."""

    @property
    def entry_digest(self) -> Digest:
        """The digest that the next entry and the chain point at."""
        return digest_of(self)
