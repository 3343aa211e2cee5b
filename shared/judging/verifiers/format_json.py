"""`format-json-1`: one JSON object with given keys."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.judging.verifiers.verifier import Example, Params, Verifier, refuse


def score(text: str, params: Params) -> float:
    """1 when the text is one JSON object with the comma-separated `params["keys"]`, .5 for any object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return 0.0
    if not isinstance(value, dict):
        return 0.0
    return 1.0 if _keys(params) <= set(value) else 0.5


def check_params(params: Params) -> None:
    """Keys may be left out; then any object scores."""
    if not isinstance(params.get("keys", ""), str):
        raise refuse("the verifier's parameter 'keys' must be a text of keys with commas between them")


def examples(params: Params) -> Sequence[Example]:
    """An object with the keys, and a word."""
    return (
        Example(params, json.dumps(dict.fromkeys(sorted(_keys(params)), 0)), 1.0),
        Example(params, "no", 0.0),
    )


def _keys(params: Params) -> set[str]:
    return {key.strip() for key in str(params.get("keys", "")).split(",")} - {""}


VERIFIER = Verifier("format-json-1", score, check_params, examples)
