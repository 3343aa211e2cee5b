"""The run's journal: where the unattended loop is, what it has spent, and what it is waiting for.

One file below `AGON_STATE`, written whole after every step and before every payment, so a kill at any line
costs at most the step under way. What is on chain is never believed from here: the chain is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from shared.checkpoints.files import write_whole
from shared.errors import AgonError
from shared.protocol.loader import field_errors
from shared.protocol.wire import DigestField, Wire, canonical_json
from shared.types import Hotkey, Netuid

Step = Literal["watching", "training", "scoring", "paying", "submitting", "following", "resting"]

FOLDER = "run"


class Attempt(Wire):
    """One checkpoint on its way from a champion to a verdict."""

    number: int = Field(ge=1)
    champion: DigestField
    """Model that it starts from and has to beat."""
    seed: int = Field(ge=0)
    chance: float | None = None
    """Estimated chance to win, once it was scored."""
    mean: float | None = None
    """Estimated mean d."""
    digest: DigestField | None = None
    """What was committed, once it was."""
    commit_block: int | None = None


class Payment(Wire):
    """A registration that may or may not have been paid; written before it is sent."""

    reserved_rao: int = Field(gt=0)
    """Most that it may cost; counted as spent from here on."""
    balance_rao: int = Field(ge=0)
    """Free balance of the coldkey before."""
    block: int = Field(ge=0)


class RunState(Wire):
    """The whole memory of the loop."""

    version: Literal["agon-run/1"] = "agon-run/1"
    genesis: str
    netuid: Netuid
    hotkey: Hotkey
    competition: DigestField
    step: Step = "watching"
    attempts: int = Field(default=0, ge=0)
    """Attempts begun."""
    ended: int = Field(default=0, ge=0)
    """Attempts that ended, in a crown or not."""
    failures: int = Field(default=0, ge=0)
    """Attempts in a row that did not end in a crown, against the same champion."""
    crowns: int = Field(default=0, ge=0)
    attempt: Attempt | None = None
    spent_rao: int = Field(default=0, ge=0)
    payment: Payment | None = None
    rest_until_block: int = 0
    reason: str = ""
    """Why the last attempt ended, for people."""

    def begin(self, champion: str, seed: int) -> RunState:
        """The state with a new attempt against `champion`; another champion forgets old failures."""
        number = self.attempts + 1
        before = self.attempt
        failures = self.failures if before is not None and before.champion == champion else 0
        attempt = Attempt.model_validate({"number": number, "champion": champion, "seed": seed + number - 1})
        changes = {"step": "training", "attempts": number, "failures": failures, "attempt": attempt}
        return self.model_copy(update=changes)

    def fail(self, reason: str, *, head: int, rest_blocks: int) -> RunState:
        """The attempt ended without a crown: rest for `rest_blocks`, doubled with every failure in a row."""
        rest = rest_blocks * 2 ** min(self.failures, MOST_DOUBLINGS)
        return self.model_copy(
            update={
                "step": "resting",
                "failures": self.failures + 1,
                "ended": self.ended + 1,
                "rest_until_block": head + rest,
                "reason": reason,
            }
        )

    def crown(self) -> RunState:
        """The attempt ended in a crown."""
        changes = {"step": "watching", "failures": 0, "ended": self.ended + 1, "crowns": self.crowns + 1}
        return self.model_copy(update={**changes, "reason": "crowned"})

    def to(self, step: Step) -> RunState:
        """The state at another step."""
        return self.model_copy(update={"step": step})

    def require_attempt(self) -> Attempt:
        """The attempt that a step works on. Raises AgonError `data_invalid` for a damaged journal."""
        if self.attempt is None:
            raise AgonError("data_invalid", f"the run's journal is {self.step} without an attempt")
        return self.attempt


MOST_DOUBLINGS = 5
"""The longest rest is 32 times the first."""


def state_path(state: Path, hotkey: Hotkey) -> Path:
    """Where the journal of a hotkey's run lies below the state directory."""
    return state / FOLDER / f"{hotkey}.json"


def load_state(path: Path, fresh: RunState) -> RunState:
    """The journal at `path`, or `fresh` when there is none.

    Raises AgonError `data_invalid` when it is damaged, `chain_mismatch` when it is another chain's,
    subnet's or competition's.
    """
    try:
        found = RunState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return fresh
    except ValidationError as error:
        help_line = f"move {path} away to start anew; it counts what was spent"
        raise AgonError("data_invalid", f"{path}: {field_errors(error)}", help=help_line) from error
    if (found.genesis, found.netuid) != (fresh.genesis, fresh.netuid):
        raise AgonError("chain_mismatch", f"{path} is of another chain or subnet", help="use another --state")
    if found.competition != fresh.competition:
        # new rules: the attempt is void, the budget is not
        return fresh.model_copy(update={"spent_rao": found.spent_rao, "payment": found.payment})
    return found


def save_state(path: Path, state: RunState) -> None:
    """Write the journal atomically."""
    write_whole(path, canonical_json(state))
