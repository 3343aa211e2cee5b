"""Gates: each sign alone closes its own gate, ordinary text closes none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.judging.gates import closed_gates, compresses, is_text, loops
from shared.protocol.evidence import Completion
from shared.protocol.reference import Reference

Reply = Callable[..., Completion]

PROSE = [
    "Paris.",
    "A lantern is a lamp with a handle, and you can carry it through the dark.",
    "Honey keeps for years because it is dry and sour, so nothing can live in it.",
    "1. Apples\n2. Bread\n3. Cheese\n4. Dates\n5. Eggs",
    "The river runs to the sea; the sea runs to the sky; the sky runs to the river.",
    "ha ha, very good!",
    "Größe, naïve, 東京, emoji 🙂 and a dash — all are text.",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_closes_no_gate(reply: Reply, reference: Reference, text: str) -> None:
    assert closed_gates(reply(text), reference) == ()


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"finished": False}, "unfinished"),
        ({"text": "the best thing is the best thing is the best thing is"}, "loop"),
        ({"text": "1.1.1.1.1.1.1.1.1.1"}, "loop"),
        ({"text": "hahahahahahahaha"}, "loop"),
        ({"text": "ab cd ab ce ab cd ab ce " * 20}, "compression"),
        ({"text": "   \n"}, "text"),
        ({"text": "fine \ufffd"}, "text"),
        ({"text": "fine \x00"}, "text"),
        ({"nll": 4.5}, "nll"),
        ({"tokens": 3}, "length"),
        ({"tokens": 21}, "length"),
    ],
)
def test_each_sign_closes_its_gate(
    reply: Reply, reference: Reference, change: dict[str, object], gate: str
) -> None:
    gates = closed_gates(reply(**change), reference)
    assert gate in gates
    assert list(gates) == sorted(gates)


def test_a_likely_completion_is_not_gated(reply: Reply, reference: Reference) -> None:
    """Policies sharpen: only the high side of the base's NLL is a sign."""
    assert closed_gates(reply(nll=0.01), reference) == ()


@given(word=st.text("abcdefgh", min_size=1, max_size=8), other=st.text("abcdefgh", min_size=1, max_size=8))
def test_a_repeated_phrase_is_a_loop(word: str, other: str) -> None:
    assert loops(f"{word} {other} " * 6)


@given(st.text(max_size=300))
def test_gates_answer_for_any_text(text: str) -> None:
    assert {loops(text), compresses(text), is_text(text)} <= {True, False}


@given(text=st.text(max_size=100), repeats=st.integers(8, 20))
def test_repeating_a_long_text_closes_a_gate(text: str, repeats: int) -> None:
    repeated = text * repeats
    assert len(repeated.encode("utf-8", "replace")) < 1500 or compresses(repeated) or loops(repeated)


@given(st.text(max_size=50))
def test_a_special_token_or_a_control_character_is_never_text(text: str) -> None:
    assert not is_text(text + "\ufffd")
    assert not is_text(text + "\x1b")
