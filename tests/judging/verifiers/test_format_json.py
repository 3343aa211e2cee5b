"""JSON answers: one object with its keys and nothing beside it."""

from __future__ import annotations

import pytest

from shared.judging.verifiers import verify


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"a": 1, "b": 2}', 1),
        ('{"a": 1}', 0.5),
        ("[1]", 0),
        ("no", 0),
        ('{"a": 1} tail', 0),
        ("[" * 5000, 0),
    ],
)
def test_format_json_wants_one_object_with_its_keys(text: str, score: float) -> None:
    assert verify("format-json-1", text, {"keys": "a, b"}) == score
