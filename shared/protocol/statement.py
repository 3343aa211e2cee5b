"""Statements: a validator's signed, hash-linked account of one round, and the envelope of signatures.

The settling step writes one per round; the API serves it; others replay it. The body's canonical JSON
is what is signed. Nothing here signs.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from shared.protocol.verdict import Verdict
from shared.protocol.wire import DigestField, Wire
from shared.types import Hotkey, RoundNumber

SlotOutcome = Literal["won", "lost", "unproven", "rejected", "withheld", "carried", "parked"]


class SlotReport(Wire):
    """What became of one slot of the round."""

    hotkey: Hotkey
    commit_block: int
    digest: DigestField | None
    """The committed digest; none when the commitment was malformed."""
    model: DigestField | None = None
    """Manifest digest of the checkpoint, once it was fetched."""
    outcome: SlotOutcome
    code: str | None = None
    """Rejection or verdict reason."""
    verdict: Verdict | None = None
    duel: str | None = None
    """Identifier of the duel, when there was one."""
    rows_root: DigestField | None = None
    """Merkle root over the rows of this duel so far."""


class StatementBody(Wire):
    """A validator's account of one round."""

    version: Literal["agon-statement/1"] = "agon-statement/1"
    competition: DigestField
    round: RoundNumber
    author: Hotkey
    previous: DigestField | None
    """Digest of the author's previous statement body; none for the first."""
    close_block: int
    close_hash: str
    seed: DigestField | None
    source: Literal["snapshot"]
    """How the round was read: pinned at its close."""
    champion: DigestField
    """Manifest digest of the champion that the round's duels were against."""
    slots: tuple[SlotReport, ...]
    """In priority order."""
    crowned: Hotkey | None
    next_champion: DigestField
    rows_root: DigestField
    """Merkle root over the rows roots of the slots."""


class Signed(Wire):
    """A document with the hotkey signature over its canonical JSON."""

    body: dict[str, Any]
    author: Hotkey
    signature: str = Field(pattern=r"^0x[0-9a-f]+$")
