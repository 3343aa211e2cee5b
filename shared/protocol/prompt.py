"""Prompts and pools as documents: what is drawn each round, and what its root commits to.

A pool belongs to one slice. Its Merkle root is in the competition before the pool is opened.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, JsonValue

from shared.protocol.merkle import merkle_root
from shared.protocol.wire import Wire, canonical_json
from shared.types import Digest, PromptId, SliceName


class Prompt(Wire):
    """One user message to answer, and what a verifier needs to score the answer."""

    id: PromptId = Field(min_length=1, max_length=80)
    slice: SliceName
    cluster: str = Field(min_length=1, max_length=80)
    """Template cluster: a block holds at most one prompt of a cluster per slice."""
    text: str = Field(min_length=1)
    params: dict[str, JsonValue] = {}
    """Inputs of the slice's verifier, such as `{"words": 12}` or `{"options": ["fruit", "tool"]}`."""


def pool_root(prompts: Iterable[Prompt]) -> Digest:
    """Merkle root over the canonical JSON of the prompts, in their given order."""
    return merkle_root([canonical_json(prompt) for prompt in prompts])
