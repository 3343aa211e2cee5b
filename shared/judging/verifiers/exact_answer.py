"""`exact-answer-1`: one right answer, compared by its spelling. Use `exact-answer-3`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.judging.verifiers.numerals import number_of, plain
from shared.judging.verifiers.verifier import Example, Params, Verifier, scalar_of, value_of


def score(text: str, params: Params) -> float:
    """1 when the last number or, without one, the whole text equals `params["answer"]`; else 0."""
    wanted = plain(str(value_of(params, "answer")))
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    return float(wanted in {plain(text), *numbers[-1:]})


def check_params(params: Params) -> None:
    """An answer is all it takes."""
    scalar_of(params, "answer")


def examples(params: Params) -> Sequence[Example]:
    """The answer in a sentence where it is a number, the bare answer where it is none; and another."""
    answer = scalar_of(params, "answer")
    value = number_of(answer)
    right, wrong = (
        (answer, f"not {answer}")
        if value is None
        else (f"The answer is {answer}.", f"The answer is {value + 1}.")
    )
    return (Example(params, right, 1.0), Example(params, wrong, 0.0))


VERIFIER = Verifier("exact-answer-1", score, check_params, examples)
