"""The draw: the same for everybody, without repeats, possible whenever it can be done."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.duels.draw import completion_seed, draw, round_seed
from shared.errors import AgonError
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.types import Digest, PromptId, SliceName

SEED = Digest("sha256:" + "ab" * 32)
A, B = SliceName("a"), SliceName("b")


def pool(name: SliceName, counts: list[int]) -> list[Prompt]:
    """`counts[c]` prompts in cluster c."""
    return [
        Prompt(id=PromptId(f"{name}-{c}-{i}"), slice=name, cluster=f"c{c}", text="t")
        for c, count in enumerate(counts)
        for i in range(count)
    ]


def test_the_round_seed_is_a_hash_of_competition_and_block() -> None:
    expected = hashlib.sha256(bytes.fromhex("ab" * 32) + bytes.fromhex("cd" * 32)).hexdigest()
    assert round_seed(SEED, "0x" + "cd" * 32) == f"sha256:{expected}"
    assert round_seed(SEED, "cd" * 32) == f"sha256:{expected}"
    with pytest.raises(ValueError, match="hexadecimal"):
        round_seed(SEED, "0xzz")


def test_completion_seeds_differ_and_fit_canonical_json() -> None:
    seeds = {completion_seed(SEED, PromptId(f"p{i}"), j) for i in range(50) for j in range(4)}
    assert len(seeds) == 200
    assert max(seeds) < 2**53
    assert canonical_json(sorted(seeds))
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (b"sample", b"p1", b"0"))
    word = hashlib.sha256(bytes.fromhex("ab" * 32) + parts).digest()[:8]
    assert completion_seed(SEED, PromptId("p1"), 0) == int.from_bytes(word, "big") >> 11


def test_no_two_prompts_and_indices_share_a_seed_by_concatenation() -> None:
    assert completion_seed(SEED, PromptId("p1"), 1) != completion_seed(SEED, PromptId("p"), 11)


def test_a_draw_is_pinned() -> None:
    """Another implementation that disagrees here forks from every other validator."""
    batches = draw({A: pool(A, [3, 3]), B: pool(B, [2, 2, 2])}, {B: 2, A: 1}, SEED, (), 2)
    assert [[prompt.id for prompt in batch] for batch in batches] == [
        ["b-0-0", "b-1-1", "a-0-0"],
        ["b-1-0", "b-0-1", "a-1-1"],
    ]


def test_the_order_of_a_pool_does_not_matter() -> None:
    prompts = pool(A, [5, 5, 5])
    assert draw({A: prompts}, {A: 2}, SEED, (), 4) == draw({A: prompts[::-1]}, {A: 2}, SEED, (), 4)


def test_used_prompts_are_not_drawn_again() -> None:
    prompts = pool(A, [4, 4])
    first = draw({A: prompts}, {A: 2}, SEED, (), 2)
    used = {prompt.id for batch in first for prompt in batch}
    second = draw({A: prompts}, {A: 2}, SEED, used, 2)
    assert not used & {prompt.id for batch in second for prompt in batch}
    with pytest.raises(AgonError, match="pool_exhausted"):
        draw({A: prompts}, {A: 2}, SEED, {prompt.id for prompt in prompts}, 1)


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    weight=st.integers(1, 4),
    batches=st.integers(0, 6),
    salt=st.integers(0, 1000),
)
def test_a_draw_succeeds_exactly_when_it_can(counts: list[int], weight: int, batches: int, salt: int) -> None:
    seed = Digest("sha256:" + hashlib.sha256(str(salt).encode()).hexdigest())
    possible = sum(min(count, batches) for count in counts) >= weight * batches
    try:
        drawn = draw({A: pool(A, counts)}, {A: weight}, seed, (), batches)
    except AgonError as error:
        assert error.code == "pool_exhausted"
        assert not possible
        return
    assert possible
    assert [len(batch) for batch in drawn] == [weight] * batches
    assert all(len({prompt.cluster for prompt in batch}) == weight for batch in drawn)
    ids = [prompt.id for batch in drawn for prompt in batch]
    assert len(ids) == len(set(ids))


def test_every_prompt_is_drawn_about_as_often_as_any_other() -> None:
    seen: Counter[str] = Counter()
    for salt in range(400):
        seed = Digest("sha256:" + hashlib.sha256(str(salt).encode()).hexdigest())
        seen.update(
            prompt.id for batch in draw({A: pool(A, [2] * 10)}, {A: 1}, seed, (), 5) for prompt in batch
        )
    assert len(seen) == 20
    assert all(60 < count < 145 for count in seen.values())  # mean 100, sd 8.7
