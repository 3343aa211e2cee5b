"""Constraints: one text meets all that a prompt asks, and a text on something else meets nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.competitions.generators.generator import SIDES, Side
from shared.competitions.generators.registry import find_generator
from shared.judging.verifiers.registry import verify
from shared.protocol.prompt import Prompt
from shared.protocol.wire import sha256_digest
from shared.types import SliceName


def parts(prompt: Prompt) -> dict[str, Any]:
    """Constraints by kind; word counts by relation."""
    listed: Any = prompt.params["constraints"]
    return {each["relation"] if each["kind"] == "word-count" else each["kind"]: each for each in listed}


def required(prompt: Prompt) -> list[str]:
    listed: Any = prompt.params["constraints"]
    return [word for each in listed if each["kind"] == "required-words" for word in each["words"]]


def solve(prompt: Prompt, topic: str) -> str:
    """A text that meets everything."""
    found, words = parts(prompt), [topic, *required(prompt)]
    if "json" in found:
        return json.dumps(dict.fromkeys(found["json"]["keys"], " ".join(words)))
    if "bullet-count" in found:
        return "\n".join(f"* {' '.join(words)}" for _ in range(found["bullet-count"]["count"]))
    least = (
        found["at least"]["count"]
        if "at least" in found
        else found["at most"]["count"] // 3
        if "at most" in found
        else 5
    )
    body = " ".join([*words, *(f"filler{number}" for number in range(max(0, least - len(words))))]) + "."
    if "starts-with" in found:
        body = f"{found['starts-with']['text']} {body}"
    if "ends-with" in found:
        body = f"{body} {found['ends-with']['text']}"
    if "postscript" in found:
        body = f"{body}\nP.S. Bye now."
    if "upper-case" in found:
        return body.upper()
    return body.lower() if "lower-case" in found else body


@pytest.mark.parametrize("side", SIDES)
def test_every_prompt_can_be_obeyed_in_full_and_not_by_a_text_on_something_else(side: Side) -> None:
    prompts = find_generator("constraints-1").make(sha256_digest(b"c"), SliceName("c"), 1200, side)
    for prompt in prompts:
        topic = str(prompt.params["topic"])
        assert verify("constraints-1", solve(prompt, topic), prompt.params) == 1.0, prompt.text
        assert verify("constraints-1", solve(prompt, "nothing"), prompt.params) == 0.0
        assert topic in prompt.text


@pytest.mark.parametrize("side", SIDES)
def test_no_prompt_contradicts_itself(side: Side) -> None:
    for prompt in find_generator("constraints-1").make(sha256_digest(b"d"), SliceName("c"), 1200, side):
        found, wanted = parts(prompt), [str(prompt.params["topic"]), *required(prompt)]
        forbidden = found.get("forbidden-words", {}).get("words", [])
        fixed = " ".join(found[kind]["text"] for kind in ("starts-with", "ends-with") if kind in found)
        assert not set(forbidden) & {*wanted, *fixed.lower().strip(".").split()}
        assert len(set(wanted)) == len(wanted)
        if {"lower-case", "upper-case"} & set(found):
            assert not {"starts-with", "ends-with", "postscript", "json"} & set(found)
        if "at least" in found and "at most" in found:
            assert found["at least"]["count"] + 10 <= found["at most"]["count"]
        for word in [*wanted, *forbidden]:
            assert word in prompt.text
