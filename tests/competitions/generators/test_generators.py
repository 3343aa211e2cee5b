"""All generators: seeded, inexhaustible where they say so, and public prompts are no held-out ones."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from shared.competitions.generators.generator import SIDES, Generator, Side, TemplateGenerator
from shared.competitions.generators.registry import find_generator, load_generators
from shared.competitions.overlap import check_overlap
from shared.errors import AgonError
from shared.judging.verifiers.registry import find_verifier
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json, sha256_digest
from shared.types import Digest, SliceName

SLICE = SliceName("tasks")
LARGE = 10**8
"""From this capacity on, prompts of two rounds are expected to differ."""
NAMES = sorted(load_generators())
PINNED = {
    "arithmetic-1": ("7acdcbdbbaba2c22", "8e59083dd1768f60"),
    "constraints-1": ("905f667ca0fdc835", "90a37180c6d37cac"),
    "dates-1": ("9628235cfc6ff785", "a83df47985903efe"),
    "facts-1": ("00bfa3363187756a", "da398d65e54f1d05"),
    "properties-1": ("12992634a6a09082", "bdffb091f1cf78d7"),
    "units-1": ("c1aefe4e0b022683", "e3eaa1ea6473342d"),
    "weekdays-1": ("88016f0c3a522cf5", "c4c39b9705382dd6"),
}
"""Digest of the generator, and of 24 prompts of each side. A change of either needs a new name."""


def seed(text: str) -> Digest:
    return sha256_digest(text.encode())


def make(name: str, text: str, count: int, side: Side = "held-out") -> tuple[Prompt, ...]:
    return find_generator(name).make(seed(text), SLICE, count, side)


def built(name: str) -> TemplateGenerator:
    generator: Generator = find_generator(name)
    assert isinstance(generator, TemplateGenerator)
    return generator


def test_an_unknown_generator_is_refused_by_name() -> None:
    with pytest.raises(AgonError, match="no generator is called 'poems-1'") as caught:
        find_generator("poems-1")
    assert caught.value.code == "competition_invalid"


@pytest.mark.parametrize("name", NAMES)
def test_a_generator_is_what_it_was_when_rules_committed_to_it(name: str) -> None:
    prompts = [prompt for side in SIDES for prompt in make(name, "pinned", 24, side)]
    found = sha256_digest(b"".join(map(canonical_json, prompts)))
    assert (find_generator(name).digest[7:23], found[7:23]) == PINNED[name]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_fixes_prompts_and_fewer_are_the_head_of_more(name: str, side: Side) -> None:
    assert make(name, "a", 40, side) == make(name, "a", 64, side)[:40]
    one, other = ({prompt.text for prompt in make(name, text, 64, side)} for text in "ab")
    assert len(one & other) <= 16
    assert make(name, "a", 8, side) != find_generator(name).make(seed("a"), SliceName("other"), 8, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_spread_over_all_templates_and_have_identifiers_of_their_own(
    name: str, side: Side
) -> None:
    templates = len(built(name).templates[side])
    rounds = [make(name, text, 64, side) for text in "abc"]
    assert templates >= 6
    assert len({prompt.id for prompts in rounds for prompt in prompts}) == 3 * 64
    for prompts in rounds:
        clusters = [prompt.cluster for prompt in prompts]
        assert len(set(clusters)) == templates
        assert max(map(clusters.count, clusters)) <= min(map(clusters.count, clusters)) + 1


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NAMES)
def test_prompts_read_as_whole_sentences(name: str, side: Side) -> None:
    for prompt in make(name, "read", 200, side):
        assert not set("{}") & set(prompt.text)
        assert "  " not in prompt.text and prompt.text == prompt.text.strip()
        assert not re.search(r"\b(a [aeio]|an [^aeiou])", prompt.text.replace("a eucalyptus", "")), (
            prompt.text
        )
        assert len(prompt.text.split()) < 60


@pytest.mark.parametrize(
    "name", [name for name in NAMES if find_generator(name).capacity("held-out") >= LARGE]
)
def test_no_wording_comes_twice_in_200_rounds(name: str) -> None:
    texts = [prompt.text for number in range(200) for prompt in make(name, f"round {number}", 64)]
    assert len(set(texts)) == len(texts) == 200 * 64


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "name", [name for name in NAMES if find_generator(name).capacity("held-out") < 10**4]
)
def test_a_small_generator_gives_all_it_has_once_and_refuses_more(name: str, side: Side) -> None:
    capacity = find_generator(name).capacity(side)
    assert len({prompt.text for prompt in make(name, "all", capacity, side)}) == capacity
    with pytest.raises(AgonError) as caught:
        make(name, "all", capacity + 1, side)
    assert caught.value.code == "pool_too_small"
    assert str(capacity) in caught.value.message


@pytest.mark.parametrize("name", NAMES)
def test_held_out_prompts_are_no_copies_of_public_ones(name: str) -> None:
    assert check_overlap(make(name, "h", 128), make(name, "p", 512, "public")) == []


@pytest.mark.parametrize("name", NAMES)
def test_templates_differ_in_more_than_a_word(name: str) -> None:
    texts: dict[str, list[Any]] = {side: list(built(name).content["texts"][side]) for side in SIDES}
    bare = [frozenset(re.findall(r"[a-z]+", _text(entry).lower())) for side in SIDES for entry in texts[side]]
    for one, other in itertools.combinations(bare, 2):
        assert len(one & other) <= 0.7 * len(one | other), (one, other)


def _text(entry: Any) -> str:
    return re.sub(r"\{\w+\}", " ", entry if isinstance(entry, str) else entry[-1])


@pytest.mark.parametrize("name", NAMES)
def test_no_word_is_public_and_held_out(name: str) -> None:
    content = json.loads(canonical_json(dict(built(name).content)))
    for key in ("words", "stuff", "lists"):
        sides = [set(_strings(content[key][side])) for side in SIDES if key in content]
        assert not sides or not sides[0] & sides[1]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [
        text for item in (value.values() if isinstance(value, dict) else value) for text in _strings(item)
    ]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NAMES)
def test_the_verifier_tells_right_from_wrong_on_every_prompt(name: str, side: Side) -> None:
    verifier = find_verifier(find_generator(name).verifier)
    for prompt in make(name, "verify", 400, side):
        verifier.check_params(prompt.params)
        for params, text, score in verifier.examples(prompt.params):
            assert verifier.score(text, params) == score, (prompt.text, text)
