"""The draw of a round: its seed, its batches of prompts and the seeds of its completions.

Pure, and seeded by sha256 alone, so that every validator draws the same prompts from the same block
hash. The validator's intake and scoring call it; a miner's dry run draws the same way.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from shared.errors import AgonError
from shared.protocol.prompt import Prompt
from shared.protocol.wire import digest_bytes, sha256_digest
from shared.types import Digest, PromptId, SliceName

SEED_BITS = 53
"""Bits of a completion seed: evidence is canonical JSON, where larger integers do not exist."""


def round_seed(competition: Digest, block_hash: str) -> Digest:
    """sha256(competition digest bytes | block hash bytes), where the block is close(r) + 1.

    Raises ValueError unless `block_hash` is hexadecimal.
    """
    return sha256_digest(digest_bytes(competition) + bytes.fromhex(block_hash.removeprefix("0x")))


def completion_seed(seed: Digest, prompt: PromptId, index: int) -> int:
    """Seed of completion `index` of a prompt: the same for both sides of every duel of the round."""
    return int.from_bytes(_hash(seed, "sample", prompt, str(index))[:8], "big") >> (64 - SEED_BITS)


def draw(
    pools: Mapping[SliceName, Sequence[Prompt]],
    per_batch: Mapping[SliceName, int],
    seed: Digest,
    used: Collection[PromptId],
    batches: int,
) -> tuple[tuple[Prompt, ...], ...]:
    """Batches of per_batch[s] prompts of each slice s, slices in the order of `per_batch`, no prompt twice.

    A batch holds at most one prompt of a cluster per slice. Ask once for all batches of a round: a
    shorter draw is not always the head of a longer one. Raises AgonError `pool_exhausted`.
    """
    spent = frozenset(used)
    columns = []
    for name, count in per_batch.items():
        unused = [prompt for prompt in pools[name] if prompt.id not in spent]
        columns.append(_draw_slice(name, unused, count, seed, batches))
    return tuple(tuple(prompt for column in columns for prompt in column[batch]) for batch in range(batches))


def _draw_slice(
    name: SliceName, unused: Sequence[Prompt], wanted: int, seed: Digest, batches: int
) -> list[list[Prompt]]:
    """`wanted` prompts of distinct clusters for each batch, whenever that can be done at all.

    With R batches to fill, n_c prompts left in cluster c: they can be filled if and only if
    sum_c min(n_c, R) >= wanted * R. The guard below keeps that true for R - 1.
    """
    left = Counter(prompt.cluster for prompt in unused)
    if sum(min(count, batches) for count in left.values()) < wanted * batches:
        raise AgonError(
            "pool_exhausted",
            f"slice {name}: {len(unused)} unused prompts in {len(left)} clusters cannot fill"
            f" {batches} batches of {wanted}",
        )
    shuffled = {
        prompt.id: prompt
        for prompt in sorted(unused, key=lambda prompt: _hash(seed, "draw", name, prompt.id))
    }
    drawn = []
    for rest in range(batches - 1, -1, -1):
        spare = sum(min(count, rest) for count in left.values()) - wanted * rest
        batch = _draw_batch(shuffled.values(), left, wanted, rest, spare)
        for prompt in batch:
            del shuffled[prompt.id]
            left[prompt.cluster] -= 1
        drawn.append(batch)
    return drawn


def _draw_batch(
    shuffled: Collection[Prompt], left: Mapping[str, int], wanted: int, rest: int, spare: int
) -> list[Prompt]:
    """The first prompts in shuffled order, of distinct clusters, at most `spare` from scarce clusters."""
    batch: list[Prompt] = []
    seen: set[str] = set()
    for prompt in shuffled:
        if len(batch) == wanted:
            break
        scarce = left[prompt.cluster] <= rest
        if prompt.cluster in seen or (scarce and spare == 0):
            continue
        spare -= scarce
        seen.add(prompt.cluster)
        batch.append(prompt)
    return batch


def _hash(seed: Digest, *parts: str) -> bytes:
    """sha256 over the seed and length-prefixed parts: no two lists of parts collide."""
    state = hashlib.sha256(digest_bytes(seed))
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(4, "big") + encoded)
    return state.digest()
