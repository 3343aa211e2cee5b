"""What `/health` answers: how the loop, its ledger and its weights are, as far as the ledger tells.

The API builds it from stored facts; a reason stands behind every status that is not ok.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.protocol.api import ErrorBody, RoundState
from shared.protocol.wire import Wire
from shared.types import Hotkey, RoundNumber

WeightsState = Literal["planned", "submitted", "confirmed", "failed", "waiting", "waiting_permit", "none"]
Status = Literal["ok", "degraded", "down"]


class HeadHealth(Wire):
    """The newest finalised block that the validator's loop has seen."""

    block: int
    seen_at: int
    """Unix seconds by the loop's clock."""
    age_s: int = Field(ge=0)
    age_blocks: int = Field(ge=0)
    """Blocks that the chain should have made since, at its expected block time."""


class RoundRef(Wire):
    """A closed round and how far the work on it is."""

    number: RoundNumber
    close_block: int
    state: RoundState


class EventRef(Wire):
    """The newest entry of the feed."""

    id: int
    kind: str
    block: int


class WeightsHealth(Wire):
    """Where the newest weight vector is on its way to the chain."""

    state: WeightsState
    reason: str | None = None
    round: RoundNumber | None = None
    block: int | None = None
    """Head at its last change."""


class ParkedSubmission(Wire):
    """A submission set aside for a fault that is not its miner's."""

    hotkey: Hotkey
    commit_block: int
    round: RoundNumber | None
    problem: ErrorBody | None


class Health(Wire):
    """Whether this validator does its work. Every field is read, none is assumed."""

    status: Status
    reasons: tuple[str, ...]
    """Why the status is not ok; empty when it is."""
    checked_at: int
    """Unix seconds of this answer."""
    ledger: Literal["readable", "unreadable"]
    netuid: int | None = None
    hotkey: Hotkey | None = None
    """The validator's own hotkey."""
    head: HeadHealth | None = None
    newest_round: RoundRef | None = None
    newest_event: EventRef | None = None
    last_verdict_block: int | None = None
    oldest_unsettled_round: RoundNumber | None = None
    weights: WeightsHealth = WeightsHealth(state="none")
    parked: tuple[ParkedSubmission, ...] = ()
