"""Facts: the gold sentence is right, in the plural too, and no other option is."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.registry import find_generator
from shared.competitions.generators.taxonomy import article_of, load_taxonomy
from shared.judging.verifiers.registry import verify
from shared.protocol.wire import sha256_digest
from shared.types import SliceName


@pytest.mark.parametrize("side", SIDES)
def test_the_right_sentence_is_right_and_the_others_are_wrong(side: Side) -> None:
    taxonomy, generator = load_taxonomy(), find_generator("facts-1")
    prompts = generator.make(sha256_digest(b"facts"), SliceName("facts"), generator.capacity(side), side)
    for prompt in prompts:
        noun, answer = str(prompt.params["subject"]), str(prompt.params["answer"])
        options = prompt.params["options"]
        assert isinstance(options, list) and len(set(map(str, options))) == 4
        assert taxonomy.category_of(noun) == answer
        assert set(map(str, options)) <= {answer, *taxonomy.others(noun)}
        for option in map(str, options):
            sentence = f"{taxonomy.with_article(noun).capitalize()} is {article_of(option)} {option}."
            assert verify("choice-1", sentence, prompt.params) == float(option == answer), sentence
        if not taxonomy.is_bare(noun):
            sentence = f"{taxonomy.plural(noun).capitalize()} are {taxonomy.categories[answer].plural}."
            assert verify("choice-1", sentence, prompt.params) == 1.0, sentence


@pytest.mark.parametrize("side", SIDES)
def test_the_place_of_the_right_option_says_nothing(side: Side) -> None:
    prompts = find_generator("facts-1").make(sha256_digest(b"place"), SliceName("facts"), 1000, side)
    places = Counter(list(prompt.params["options"]).index(prompt.params["answer"]) for prompt in prompts)  # type: ignore[arg-type]
    assert all(200 < places[place] < 300 for place in range(4))


def test_no_noun_of_a_duel_is_public_or_a_judges() -> None:
    taxonomy = load_taxonomy()
    asked = {
        side: {
            str(prompt.params["subject"])
            for prompt in find_generator("facts-1").make(sha256_digest(b"n"), SliceName("facts"), 1200, side)
        }
        for side in SIDES
    }
    judges = {noun for noun, _ in taxonomy.nouns("judge")}
    assert not asked["held-out"] & (asked["public"] | judges)
