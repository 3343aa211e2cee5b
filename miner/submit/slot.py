"""Slots: whether a round has given a committed submission its duel, as one validator tells it.

`submit` asks before it publishes. A hotkey that rests after a duel, or waits behind others, keeps its
files private until its own slot comes; otherwise anybody could copy them in the meantime.
"""

from __future__ import annotations

from dataclasses import dataclass

from miner.status.status import fetch_status
from shared.errors import AgonError
from shared.types import BlockNumber, Digest, RoundNumber


@dataclass(frozen=True)
class Slot:
    """The round that a submission competes in, and how long validators wait for its files."""

    round: RoundNumber
    fetch_until: BlockNumber | None
    """None when the validator has looked already."""


def ask_slot(api: str, digest: Digest, commit_block: int) -> Slot | None:
    """The slot of one commitment; None while it waits, or while the validator has not read its round.

    Raises AgonError `not_in_queue` when the submission has ended without one, TransientError
    `api_unreachable`.
    """
    try:
        items = fetch_status(api, digest)
    except AgonError as error:
        if error.code == "no_data":
            return None
        raise
    mine = next((item for item in items if item.get("commit_block") == commit_block), None)
    if mine is None or mine.get("state") == "waiting":
        return None
    if mine.get("round") is None:
        raise AgonError("not_in_queue", f"{digest} is {mine.get('state')}: {mine.get('explanation')}")
    until = mine.get("fetch_until_block")
    return Slot(RoundNumber(mine["round"]), None if until is None else BlockNumber(until))
