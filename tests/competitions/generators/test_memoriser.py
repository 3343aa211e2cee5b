"""A memoriser of public prompts gains nothing on held-out ones beyond guessing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from shared.competitions.generators.registry import find_generator
from shared.competitions.generators.taxonomy import load_taxonomy
from shared.protocol.prompt import Prompt
from shared.protocol.wire import sha256_digest
from shared.types import SliceName

PUBLIC, HELD_OUT = 768, 512


def make(name: str) -> tuple[Sequence[Prompt], Sequence[Prompt]]:
    generator = find_generator(name)
    public = generator.make(
        sha256_digest(b"public"), SliceName("s"), min(PUBLIC, generator.capacity("public")), "public"
    )
    held_out = generator.make(sha256_digest(b"held out"), SliceName("s"), HELD_OUT, "held-out")
    return public, held_out


def trigrams(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def hits(public: Sequence[Prompt], prompts: Sequence[Prompt]) -> int:
    """Prompts that the memoriser answers right: with the gold of the public prompt that shares most trigrams,
    among those whose gold is an option here."""
    known = [(trigrams(each.text), str(each.params["answer"])) for each in public]
    return sum(memorised(known, prompt) == prompt.params["answer"] for prompt in prompts)


def memorised(known: Sequence[tuple[frozenset[tuple[str, ...]], str]], prompt: Prompt) -> str:
    options, mine = prompt.params.get("options"), trigrams(prompt.text)
    fitting = [pair for pair in known if not isinstance(options, list) or pair[1] in options]
    return max(
        fitting, key=lambda pair: len(pair[0] & mine) / (len(pair[0]) + len(mine)), default=(mine, "")
    )[1]


def commonest(public: Sequence[Prompt], prompts: Sequence[Prompt]) -> int:
    ((answer, _),) = Counter(str(prompt.params["answer"]) for prompt in public).most_common(1)
    return sum(prompt.params["answer"] == answer for prompt in prompts)


def test_a_memoriser_of_facts_guesses_among_the_options() -> None:
    public, held_out = make("facts-1")
    found = hits(public, held_out) / HELD_OUT
    assert found < 0.25 + 3 * math.sqrt(0.25 * 0.75 / HELD_OUT)


def test_a_memoriser_of_sums_does_no_better_than_the_commonest_answer() -> None:
    public, held_out = make("arithmetic-1")
    chance = max(commonest(public, held_out) / HELD_OUT, 0.04)
    assert hits(public, held_out) / HELD_OUT < chance + 3 * math.sqrt(chance / HELD_OUT)


@pytest.mark.parametrize("name", ["facts-1", "arithmetic-1"])
def test_the_same_memoriser_knows_the_prompts_it_has_seen(name: str) -> None:
    public, _ = make(name)
    assert hits(public, public[:64]) == 64


def category(option: object) -> str:
    taxonomy = load_taxonomy()
    return str(option) if str(option) in taxonomy.categories else taxonomy.category_of(str(option))


@pytest.mark.parametrize("name", ["facts-1", "properties-1"])
def test_a_guess_by_how_often_a_category_is_right_gains_next_to_nothing(name: str) -> None:
    public, held_out = make(name)
    right = Counter(category(prompt.params["answer"]) for prompt in public)
    offered = Counter(category(option) for prompt in public for option in prompt.params["options"])  # type: ignore[union-attr]
    rates = {each: right[each] / count for each, count in offered.items()}
    guesses = [
        max(prompt.params["options"], key=lambda option: rates[category(option)]) for prompt in held_out
    ]
    found = sum(guess == prompt.params["answer"] for guess, prompt in zip(guesses, held_out, strict=True))
    assert found / HELD_OUT < 0.27 + 3 * math.sqrt(0.25 * 0.75 / HELD_OUT)
