"""Who duels in a round, in what order, and how long a hotkey then sits out.

Pure functions of the snapshot at a round's close, so every validator gets the same slots. Intake calls
them; nothing here knows what a commitment says. Duels carried from earlier rounds are not candidates:
they keep the slot and the error budget that they have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from shared.types import BlockNumber, Hotkey, RoundNumber


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registered hotkey whose well-formed commitment waits for a slot."""

    hotkey: Hotkey
    commit_block: BlockNumber
    free_at: RoundNumber
    """First round in which its cooldown lets it compete."""


def slots(
    candidates: Iterable[Candidate], round_number: RoundNumber, seed: bytes, limit: int
) -> tuple[Candidate, ...]:
    """At most `limit` candidates in order of priority: oldest commit first, ties by sha256(seed | hotkey).

    Cooling hotkeys are skipped and keep their place. Raises ValueError when a hotkey appears twice: the
    chain holds one commitment per hotkey.
    """
    waiting = list(candidates)
    if len({candidate.hotkey for candidate in waiting}) != len(waiting):
        raise ValueError("a hotkey has one waiting commitment")
    if limit < 0:
        raise ValueError("limit must not be negative")
    due = [candidate for candidate in waiting if candidate.free_at <= round_number]
    due.sort(key=lambda candidate: (candidate.commit_block, tie_break(seed, candidate.hotkey)))
    return tuple(due[:limit])


def tie_break(seed: bytes, hotkey: Hotkey) -> bytes:
    """Rank among commits of one block: nobody can know it before the round's seed."""
    return hashlib.sha256(seed + hotkey.encode()).digest()


def finished_cooldown(times: int) -> int:
    """Rounds to sit out after the `times`-th finished duel without a crown: 1, 2, 4, 8, then always 8."""
    return _doubling(1, times, most=8)


def withheld_cooldown(times: int) -> int:
    """Rounds to sit out after the `times`-th withheld commitment: 2, 4, 8, 16, then always 16."""
    return _doubling(2, times, most=16)


def free_after(round_number: RoundNumber, cooldown: int) -> RoundNumber:
    """First round that a hotkey may compete in after `round_number` and `cooldown` rounds off."""
    return RoundNumber(round_number + cooldown + 1)


def _doubling(first: int, times: int, *, most: int) -> int:
    if times < 1:
        raise ValueError(f"times counts from 1, not {times}")
    return min(most, first << min(times - 1, 16))
