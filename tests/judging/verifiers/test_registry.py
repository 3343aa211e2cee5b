"""Verifiers by name: every one stays in range for any text and refuses what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging import verifiers
from shared.judging.gates import ALWAYS, closed_gates
from shared.judging.verifiers import VERIFIERS, find_verifier, verify
from shared.judging.verifiers.counted import COUNTS
from shared.judging.verifiers.shaped import SHAPES
from shared.protocol.evidence import Completion
from shared.protocol.prompt import Prompt
from shared.protocol.reference import Reference
from shared.protocol.wire import canonical_json

OLD = ["exact-answer-1", "exact-answer-2", "format-json-1", "word-limit-1", "word-limit-2"]
GATES = {"unfinished", "text", "loop", "compression", "nll", "length"}
COUNTED: list[dict[str, Any]] = [{"kind": kind, "count": 2, "word": "a"} for kind in COUNTS]
SHAPED: list[dict[str, Any]] = [
    {"kind": kind, "words": ["a"], "text": "a", "language": "en", "keys": ["a"]} for kind in SHAPES
]
PARAMS: dict[str, dict[str, Any]] = {
    **{name: {"words": 10, "topic": "a", "answer": "7", "keys": "a"} for name in OLD},
    "exact-answer-3": {"answer": "7"},
    "choice-1": {"options": ["a", "b"], "answer": "a"},
    "constraints-1": {"constraints": COUNTED[:3] + SHAPED},
}


def test_every_verifier_is_known_by_its_own_name() -> None:
    assert set(VERIFIERS) >= {*OLD, "exact-answer-3", "choice-1", "constraints-1"}
    assert PARAMS.keys() == VERIFIERS.keys()
    assert all(verifier.name == name for name, verifier in VERIFIERS.items())


def test_every_file_with_a_verifier_is_found() -> None:
    folder = Path(str(verifiers.__file__)).parent
    assert sum("\nVERIFIER = " in path.read_text() for path in folder.glob("*.py")) == len(VERIFIERS)


@given(text=st.text(max_size=300), name=st.sampled_from(sorted(VERIFIERS)))
@example(text="a " * 400, name="constraints-1")
@example(text="\ud800", name="choice-1")
@example(text="{" * 3000, name="constraints-1")
def test_every_verifier_stays_in_range(text: str, name: str) -> None:
    assert 0 <= verify(name, text, PARAMS[name]) <= 1


@given(
    text=st.text("0123456789.,/-+^e=()[]{}\\ \nabc#:%$½³−", max_size=80),
    name=st.sampled_from(sorted(VERIFIERS)),
)
def test_every_verifier_stays_in_range_on_numbers(text: str, name: str) -> None:
    assert 0 <= verify(name, text, PARAMS[name]) <= 1


@pytest.mark.parametrize("name", sorted(set(VERIFIERS) - {"format-json-1"}))
@pytest.mark.parametrize("text", ["", "  \n", "...", "\u200b"])
def test_nothing_said_earns_nothing(name: str, text: str) -> None:
    assert verify(name, text, PARAMS[name]) == 0


@pytest.mark.parametrize("name", ["no-such-1", "", "word-limit"])
def test_an_unknown_name_is_the_competitions_fault(name: str) -> None:
    with pytest.raises(AgonError, match="no verifier") as caught:
        verify(name, "text", {})
    assert caught.value.code == "competition_invalid"


@pytest.mark.parametrize("name", sorted(set(VERIFIERS) - {"format-json-1"}))
def test_missing_parameters_are_the_competitions_fault(name: str) -> None:
    for refuse in (lambda: find_verifier(name).check_params({}), lambda: verify(name, "a text", {})):
        with pytest.raises(AgonError, match="parameter") as caught:
            refuse()
        assert caught.value.code == "competition_invalid"


def test_parameters_of_every_verifier_survive_the_wire() -> None:
    for name, params in PARAMS.items():
        prompt = Prompt(id="p", slice="s", cluster="c", text="Why?", params=params)
        again = Prompt.model_validate(json.loads(canonical_json(prompt)))
        assert again == prompt
        assert verify(name, "a is 7", again.params) == verify(name, "a is 7", params)


def test_every_gate_that_a_verifier_names_exists() -> None:
    assert all(verifier.gates <= GATES - ALWAYS for verifier in VERIFIERS.values())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("exact-answer-3", "0.33333333"),
        ("exact-answer-3", "7"),
        ("format-json-1", '{"a":1,"b":1,"c":1,"d":1,"e":1}'),
        ("choice-1", "It is a whale."),
        ("constraints-1", "<<A day>>\n- one\n- two"),
    ],
)
def test_a_right_answer_is_neither_too_short_nor_too_unlikely(
    reference: Reference, name: str, text: str
) -> None:
    """Two tokens at 9 nats: the base model writes longer and likelier texts, and they are wrong."""
    completion = Completion(token_ids=(5, 6), text=text, finished=True, logprob=-1, base_logprob=-18)
    assert closed_gates(completion, reference, 2, VERIFIERS[name].gates) == ()
