"""`exact-answer-2`: one right answer, compared by its value. Use `exact-answer-3`."""

from __future__ import annotations

from decimal import Decimal

from shared.judging.verifiers import exact_answer
from shared.judging.verifiers.numerals import NUMBER, number_of, plain
from shared.judging.verifiers.verifier import Params, Verifier, value_of


def score(text: str, params: Params) -> float:
    """1 when the last number of the text has the value of `params["answer"]`; else 0.

    `1,450,000`, `1450000` and `1450000.0` are one value. Where the answer is no number, the whole text has
    to equal it. `exact-answer-1` compares spellings and so fails right answers to `65,960`.
    """
    wanted = str(value_of(params, "answer"))
    value = number_of(wanted)
    if value is None:
        return float(plain(text) == plain(wanted))
    numbers = NUMBER.findall(text.replace(",", ""))
    return float(bool(numbers) and Decimal(numbers[-1]) == value)


VERIFIER = Verifier("exact-answer-2", score, exact_answer.check_params, exact_answer.examples)
