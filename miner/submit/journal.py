"""The submit journal: what one hotkey has under way, written before and after every step.

`submit.py` moves it forward; a crash at any line leaves a file from which the same submission goes on.
The journal never decides whether something is on chain: the chain is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from shared.checkpoints.files import write_whole
from shared.errors import AgonError
from shared.protocol.loader import field_errors
from shared.protocol.wire import DigestField, Wire, canonical_json
from shared.types import Hotkey, Netuid, RoundNumber

Step = Literal["planned", "prepared", "committed", "finalised", "slotted", "published", "verified"]


class Journal(Wire):
    """One submission on its way."""

    version: Literal["agon-submission/1"] = "agon-submission/1"
    genesis: str
    """Hash of block 0 of the chain that it is committed on."""
    netuid: Netuid
    hotkey: Hotkey
    competition: DigestField
    manifest: DigestField
    digest: DigestField
    """What the commitment binds: competition, manifest and hotkey."""
    locator: str
    text: str
    """The commitment as it is written on chain."""
    source: str
    """Absolute path of the packaged checkpoint."""
    state: Step = "planned"
    planned_block: int = Field(ge=0)
    """Head when the commit was decided: an equal text in this block or before is another submission."""
    commit_block: int | None = None
    round: RoundNumber
    """Round that takes the commit; foreseen until the commit is final."""
    close_block: int
    """The files are published after this block."""
    fetch_until_block: int
    """The files must be readable until this block, and longer when the slot comes in a later round."""

    def is_same_submission(self, other: Journal) -> bool:
        """Whether both commit the same content to the same place on the same chain."""
        mine = (self.genesis, self.netuid, self.hotkey, self.text)
        return mine == (other.genesis, other.netuid, other.hotkey, other.text)


def journal_path(state: Path, hotkey: Hotkey) -> Path:
    """Where the journal of a hotkey lies below the state directory."""
    return state / "submissions" / f"{hotkey}.json"


def load_journal(path: Path) -> Journal | None:
    """The journal at `path`; None when there is none. Raises AgonError `data_invalid` when damaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Journal.model_validate_json(data)
    except ValidationError as error:
        help_line = f"delete {path}: what was committed is on the chain all the same"
        raise AgonError("data_invalid", f"{path}: {field_errors(error)}", help=help_line) from error


def save_journal(path: Path, journal: Journal) -> None:
    """Write the journal atomically."""
    write_whole(path, canonical_json(journal))
