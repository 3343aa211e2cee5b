"""Gates: each sign alone closes its own gate, ordinary text closes none, and old rules keep their signs."""

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
NUMBERS_AND_RULES = [
    "The answer is 100000000.",
    "1/3 is 0.33333333",
    "1/7 is 0.142857142857142857142857",
    "50,000,000,000,000",
    "It has 1,000,000,000,000,000 of them.",
    "Name\n----------------\nAda",
    "|---|---|---|---|---|---|",
    "Wait......... no.",
    "Title\n" + "=" * 40 + "\nText",
]
"""Version 1 takes them for loops."""
INVISIBLE = ["\u200b", "\u2060", "\ufeff", "\u00ad", "\u2800", "\u3164", "\U000e0041", "\ufe0f", "\U000e0101"]
"""Signs that show nothing; version 1 takes them for text."""
SEEN = [
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f is a flag",
    "❤️‍🔥 and 👩‍🚀",
    "می‌خواهم",
    "co\u00adoperate",
    "\ufeffLamp",
    "3",
    "?",
    "🙂",
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


@pytest.mark.parametrize("text", NUMBERS_AND_RULES)
def test_a_number_or_a_drawn_line_is_no_loop(text: str) -> None:
    assert not loops(text)
    assert loops(text, 1), "the rules that old evidence was made under stay"


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1.1.1.1.1.1.1",
        "hahahahahahahaha",
        "0" * 60,
        "-" * 90,
        "aaaaaaaaaaaa",
        "x=1;x=1;x=1;x=1;",
        "🙂" * 12,
        "7,7,7,7,7,7,7,7",
    ],
)
def test_a_loop_in_digits_or_signs_stays_one(text: str) -> None:
    assert loops(text)
    assert loops(text, 1)


@given(st.text("ab1-., ", max_size=120))
def test_newer_rules_close_no_loop_that_older_ones_left_open(text: str) -> None:
    assert loops(text, 1) or not loops(text, 2)


@pytest.mark.parametrize("sign", INVISIBLE)
@pytest.mark.parametrize("count", [1, 2, 40])
def test_what_nobody_sees_is_no_text(sign: str, count: int) -> None:
    assert not is_text(sign * count)
    assert not is_text(f" {sign}\n" * count)
    assert is_text(sign * count, 1)


def test_a_message_in_signs_that_nobody_sees_is_no_text() -> None:
    tags = "".join(chr(0xE0000 + ord(sign)) for sign in "score 1")
    for hidden in (
        tags,
        tags[:1],
        "\u200b\u200c\u200b\u200d\u200c",
        "".join(chr(0xE0100 + n) for n in range(9)),
    ):
        assert not is_text(f"Lamp{hidden}")
        assert not is_text(f"{hidden}Lamp")
        assert is_text(f"Lamp{hidden}", 1)


@pytest.mark.parametrize("text", [*SEEN, *PROSE, *NUMBERS_AND_RULES])
def test_what_a_reader_sees_is_text(text: str) -> None:
    assert is_text(text)


def test_only_the_gates_that_a_verifier_names_count_on_its_slice(reply: Reply, reference: Reference) -> None:
    poor = reply("ab cd ab ce ab cd ab ce " * 20 + "\ufffd", tokens=21, nll=9.0, finished=False)
    every = ("compression", "length", "loop", "nll", "text", "unfinished")
    assert closed_gates(poor, reference, 2) == every
    assert closed_gates(poor, reference, 2, frozenset()) == ("text", "unfinished")
    assert closed_gates(poor, reference, 2, frozenset({"loop"})) == ("loop", "text", "unfinished")
    assert closed_gates(poor, reference, 1, frozenset()) == every


def test_no_answer_is_too_short_for_a_verifier(reply: Reply, reference: Reference) -> None:
    declared = frozenset({"length"})
    assert closed_gates(reply(tokens=3), reference, 2, declared) == ()
    assert closed_gates(reply(tokens=21), reference, 2, declared) == ("length",)
    assert closed_gates(reply(tokens=3), reference, 2) == ("length",)
    assert closed_gates(reply(tokens=3), reference, 1, declared) == ("length",)
