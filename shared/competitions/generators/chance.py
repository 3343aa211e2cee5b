"""Choices that follow from a seed by sha256 alone: the same on every platform and Python version.

Generators draw with it. It has no other source of chance, no clock and no global state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from shared.protocol.wire import digest_bytes
from shared.types import Digest

Item = TypeVar("Item")


def hash_parts(seed: Digest, *parts: str) -> bytes:
    """sha256 over the seed and length-prefixed parts: no two lists of parts collide."""
    state = hashlib.sha256(digest_bytes(seed))
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(4, "big") + encoded)
    return state.digest()


class Chance:
    """A stream of choices, fixed by a seed and the parts that name it."""

    def __init__(self, seed: Digest, *parts: str) -> None:
        self._seed, self._parts, self._drawn = seed, parts, 0

    def below(self, limit: int) -> int:
        """A whole number in [0, limit). 256 bits modulo `limit`: the bias is below limit / 2**256."""
        self._drawn += 1
        return int.from_bytes(hash_parts(self._seed, *self._parts, str(self._drawn)), "big") % limit

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffle(self, items: Sequence[Item]) -> list[Item]:
        """The items in a chosen order (Fisher and Yates)."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.below(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed
