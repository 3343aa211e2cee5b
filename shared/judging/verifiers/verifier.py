"""What a verifier is, and how it reads a prompt's parameters. Pure; knows no verifier by name.

A verifier's score is final on its slice. Of the gates only those that it names apply, besides `unfinished`
and `text`, which apply to everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue

from shared.errors import AgonError

Params = Mapping[str, JsonValue]
"""A prompt's parameters: what a verifier needs to know of it."""
PROSE_GATES = frozenset({"compression", "length", "loop", "nll"})
"""For verifiers that count words and cannot tell padding from prose. They keep the high end of `length`."""
SHAPE_GATES = frozenset({"compression", "loop"})
"""For verifiers whose right answers are sentences of any length that the base model may find unlikely."""
NO_GATES: frozenset[str] = frozenset()
"""For verifiers whose right answers have one form: `0.33333333` is no loop, and `{}` is not too short."""


class Example(NamedTuple):
    """A text that a verifier has to score so under these parameters."""

    params: Params
    text: str
    score: float


@dataclass(frozen=True)
class Verifier:
    """A rule that scores texts."""

    name: str
    """Kind of its slices after `verifier:`, with the number of its version."""
    score: Callable[[str, Params], float]
    """Score of any text in [0, 1]. Raises AgonError `competition_invalid` for parameters it cannot use."""
    check_params: Callable[[Params], None]
    """Raises AgonError `competition_invalid` that says what is wrong with the parameters."""
    examples: Callable[[Params], Sequence[Example]]
    """Right and wrong answers made from sound parameters, for owners; empty where none can be made."""
    gates: frozenset[str] = NO_GATES
    """Names of the gates that apply to its slices."""


def refuse(message: str) -> AgonError:
    """The error of parameters that a verifier cannot use."""
    return AgonError("competition_invalid", message)


def value_of(params: Params, name: str) -> JsonValue:
    """A parameter that has to be there."""
    if name not in params:
        raise refuse(f"a prompt lacks the verifier's parameter {name!r}")
    return params[name]


def count_of(params: Params, name: str) -> int:
    """A positive whole number."""
    value = value_of(params, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise refuse(f"the verifier's parameter {name!r} must be a positive integer")
    return value


def scalar_of(params: Params, name: str) -> str:
    """A text or a whole number, as text."""
    value = value_of(params, name)
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise refuse(f"the verifier's parameter {name!r} must be a text or a whole number")
    return str(value)


def text_of(params: Params, name: str) -> str:
    """A text that is not blank."""
    value = value_of(params, name)
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"the verifier's parameter {name!r} must be a text that is not blank")
    return value


def texts_of(params: Params, name: str) -> tuple[str, ...]:
    """A list of texts, none blank and none twice."""
    value = value_of(params, name)
    if not isinstance(value, list) or not value:
        raise refuse(f"the verifier's parameter {name!r} must be a list of texts")
    texts = tuple(text_of({name: item}, name) for item in value)
    if len({text.casefold() for text in texts}) < len(texts):
        raise refuse(f"the verifier's parameter {name!r} names one text twice")
    return texts


def flag_of(params: Params, name: str) -> bool:
    """A truth value, false where it is not given."""
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise refuse(f"the verifier's parameter {name!r} must be true or false")
    return value


def check_names(params: Params, known: frozenset[str]) -> None:
    """Refuse a parameter that the verifier does not read, such as a misspelt one."""
    unknown = sorted(set(params) - known)
    if unknown:
        raise refuse(f"the verifier has no parameter {unknown[0]!r}; known: {sorted(known)}")
