"""Pools: the demo's words never leak between purposes, and a seed fixes a pool."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from shared.competitions.pools import PURPOSES, PromptSource, load_prompt_source, make_pool
from shared.errors import AgonError
from shared.types import SliceName

SLICES = [SliceName("instruct"), SliceName("constraints")]
SMALL = {
    "words": {
        "public": ["apple", "ink"],
        "proxy": ["badge"],
        "judge": ["candle"],
        "reference": ["drum"],
        "pool": ["engine"],
        "plain": ["ink"],
    },
    "slices": {"constraints": {"templates": ["Explain {thing} in {limit} words."], "limits": [8, 10]}},
}


@pytest.mark.parametrize("name", SLICES)
def test_the_demo_has_a_full_pool_in_many_clusters(name: SliceName) -> None:
    pool = make_pool(load_prompt_source(), name, "pool", 1024)
    assert len({prompt.id for prompt in pool}) == len({prompt.text for prompt in pool}) == 1024
    assert len({prompt.cluster for prompt in pool}) >= 50


@pytest.mark.parametrize("name", SLICES)
def test_no_prompt_serves_two_purposes(name: SliceName) -> None:
    source = load_prompt_source()
    texts = [{prompt.text for prompt in make_pool(source, name, purpose, 256)} for purpose in PURPOSES]
    assert all(not one & other for one, other in itertools.combinations(texts, 2))


def test_prompts_read_as_english_and_carry_their_limit() -> None:
    source = PromptSource.model_validate(SMALL)
    assert {
        (prompt.text, prompt.params["words"], prompt.cluster)
        for prompt in make_pool(source, SliceName("constraints"), "public", 4)
    } == {
        ("Explain an apple in 8 words.", 8, "constraints-00-8"),
        ("Explain an apple in 10 words.", 10, "constraints-00-10"),
        ("Explain ink in 8 words.", 8, "constraints-00-8"),
        ("Explain ink in 10 words.", 10, "constraints-00-10"),
    }


def test_a_seed_fixes_the_pool_and_a_short_pool_is_the_head_of_a_long_one() -> None:
    source = load_prompt_source()
    long = make_pool(source, SLICES[0], "pool", 300, seed=1)
    assert make_pool(source, SLICES[0], "pool", 100, seed=1) == long[:100]
    assert make_pool(source, SLICES[0], "pool", 300, seed=2) != long


def test_too_large_a_pool_is_refused() -> None:
    with pytest.raises(AgonError, match="fewer than 5"):
        make_pool(PromptSource.model_validate(SMALL), SliceName("constraints"), "public", 5)


def test_a_word_with_two_purposes_is_refused() -> None:
    words = {**SMALL["words"], "pool": ["badge"]}
    with pytest.raises(ValidationError, match="two purposes"):
        PromptSource.model_validate({**SMALL, "words": words})
