"""Properties: exactly one option has the property, by category."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.properties import PROPERTIES, lacking
from shared.competitions.generators.registry import find_generator
from shared.competitions.generators.taxonomy import load_taxonomy
from shared.judging.verifiers.registry import verify
from shared.protocol.wire import sha256_digest
from shared.types import SliceName


@pytest.mark.parametrize("side", SIDES)
def test_one_option_has_the_property_and_is_the_right_answer(side: Side) -> None:
    taxonomy, generator = load_taxonomy(), find_generator("properties-1")
    nouns = {noun for noun, _ in taxonomy.nouns(side)}
    prompts = generator.make(sha256_digest(b"can"), SliceName("can"), generator.capacity(side), side)
    for prompt in prompts:
        (entry,) = [entry for entry in PROPERTIES if entry.phrase in prompt.text]
        options, answer = prompt.params["options"], prompt.params["answer"]
        assert isinstance(options, list) and set(map(str, options)) <= nouns
        assert len({taxonomy.category_of(str(option)) for option in options}) == 4
        having = [option for option in options if taxonomy.category_of(str(option)) in entry.having]
        assert having == [answer] and answer not in entry.but
        for option in map(str, options):
            sentence = f"It is {taxonomy.with_article(option)}."
            assert verify("choice-1", sentence, prompt.params) == float(option == answer)


def test_no_category_has_a_property_and_lacks_it() -> None:
    for entry in PROPERTIES:
        assert not set(entry.having) & {*lacking(entry), *entry.unsure}
        assert {*entry.having, *entry.unsure} <= set(load_taxonomy().categories)
        assert len(lacking(entry)) >= 8


def test_no_category_is_nearly_always_right_or_wrong() -> None:
    category_of = load_taxonomy().category_of
    prompts = find_generator("properties-1").make(sha256_digest(b"odds"), SliceName("can"), 800, "held-out")
    right = Counter(category_of(str(prompt.params["answer"])) for prompt in prompts)
    offered = Counter(category_of(str(option)) for prompt in prompts for option in prompt.params["options"])  # type: ignore[union-attr]
    assert all(0.1 < right[name] / count < 0.45 for name, count in offered.items())
