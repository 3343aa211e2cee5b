"""`exact-answer-3`: one right answer, compared by its value as a reader would find it.

A marked answer counts before the last number: `\\boxed{7}`, `#### 7`, `Answer: 7`, `The answer is 7`, then
what follows the last `=` of the last sentence with a number. Remarks in brackets, numbered references
(`step 2`) and list numbers count only where nothing else is a number. Two answers are none: `2, 3`, `2 or 3`,
`2 - 3`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from shared.judging.verifiers import exact_answer
from shared.judging.verifiers.numerals import Numeral, clean_text, plain, read_numerals, value_of_text
from shared.judging.verifiers.verifier import Example, Params, Verifier, check_names, refuse, scalar_of

_REMARKS = re.compile(r"\([^()]*[^\W\d_][^()]*\)|\[[^\[\]]*\]|(?<=\w)\([^()]*\)")
_REFERENCES = re.compile(
    r"\b(?:step|equation|eq\.|figure|fig\.|page|line|section|table|example|question|problem)s?[ ]*#?[0-9]+\b"
    r"|^[ ]*[0-9]{1,2}[.)](?=[ ]+\S)",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_HASHES = re.compile(r"####[ ]*([^\n]*)")
_ANSWER = re.compile(
    r"(?:\banswer(?: to\b[^.\n]{0,60}?)?\s*"
    r"(?:(?:is|was|are|equals|(?:would|will|must|should) be)(?![\w'’])|[:=])"
    r"|^\s*A:)[\s:*=]*((?:[^\n.!?]|[.!?](?!\s|\Z))*)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(r"(?:[^\n.!?]|[.!?](?!\s|\Z))+")
_LIST_COMMA = re.compile(r"[ ]*,[ ]*")
_JOINS = re.compile(
    r"[ ]*%?[ ]*(?:(?:,[ ]*)?(?:and|or|to|through|x)|[-+*×·÷/:;&±–—])?[ ]*"
    r"|(?:[ ][^\W\d_]+){0,2},?[ ]or[ ](?:[^\W\d_]+[ ])?"
)
_DENIED = re.compile(r"(?:\bnot|n['’]t|\bnever)[ ]+(?:be[ ]+)?(?:equal[ ]+to[ ]+)?\Z", re.IGNORECASE)
_LOOK_BACK = 24


def score(text: str, params: Params) -> float:
    """1 when the answer that the text gives has the value of `params["answer"]`; else 0.

    Where the right answer is no number, the whole text has to equal it, but for case and final stops.
    """
    answer = _gold(params)
    gold = value_of_text(answer)
    if gold is None:
        return float(plain(text) == plain(answer))
    return float(answer_in(text) == gold)


def answer_in(text: str) -> Fraction | None:
    """The one number that a text gives as its answer; None where it gives none or several."""
    cleaned = clean_text(text)
    for view in (_REFERENCES.sub("\n", _REMARKS.sub(" ", cleaned)), cleaned):
        numerals = read_numerals(view)
        if numerals:
            return _choose(view, numerals)
    return None


def _choose(view: str, numerals: Sequence[Numeral]) -> Fraction | None:
    for start, end in _marked_spans(view):
        inside = [index for index, each in enumerate(numerals) if start <= each.start < end]
        if inside:
            return _single(view, numerals, _of_span(view, numerals, inside, start))
    last = numerals[-1]
    start = max(span.start() for span in _SENTENCE.finditer(view) if span.start() <= last.start)
    inside = [index for index, each in enumerate(numerals) if each.start >= start]
    return _single(view, numerals, _after_equals(view, numerals, inside) or inside[-1])


def _marked_spans(view: str) -> Iterator[tuple[int, int]]:
    for mark in (_BOXED, _HASHES, _ANSWER):
        yield from reversed([match.span(1) for match in mark.finditer(view)])


def _of_span(view: str, numerals: Sequence[Numeral], inside: Sequence[int], start: int) -> int:
    """Behind the last `=`; else the first number where no word comes before it; else the last."""
    found = _after_equals(view, numerals, inside)
    if found is not None:
        return found
    before = view[start : numerals[inside[0]].start]
    return inside[-1] if re.search(r"[^\W\d_]", before) else inside[0]


def _after_equals(view: str, numerals: Sequence[Numeral], inside: Sequence[int]) -> int | None:
    """The first number behind the last `=` of these that has one."""
    for index in reversed(inside):
        before = view[numerals[index - 1].end if index > inside[0] else 0 : numerals[index].start]
        if re.search(r"=[^\n.!?]*\Z", before):
            return index
    return None


def _single(view: str, numerals: Sequence[Numeral], index: int) -> Fraction | None:
    """The value of a numeral, unless it is one of several answers or the text denies it."""
    chosen = numerals[index]
    before = index > 0 and _joined(view, numerals[index - 1], chosen)
    after = index + 1 < len(numerals) and _joined(view, chosen, numerals[index + 1])
    denied = _DENIED.search(view[max(0, chosen.start - _LOOK_BACK) : chosen.start])
    return None if before or after or denied else chosen.value


def _joined(view: str, left: Numeral, right: Numeral) -> bool:
    """Whether two numerals are one answer of two values, or a sum that nobody did.

    `2, 3` is a list; `in 2019, 3 people` is not, because a word follows.
    """
    between = view[left.end : right.start]
    if _LIST_COMMA.fullmatch(between):
        return re.match(r"[ ]*[^\W\d_]", view[right.end : right.end + 8]) is None
    return _JOINS.fullmatch(between) is not None


def check_params(params: Params) -> None:
    """One answer, not blank."""
    check_names(params, frozenset({"answer"}))
    _gold(params)


def _gold(params: Params) -> str:
    answer = scalar_of(params, "answer")
    if not plain(answer):
        raise refuse("the verifier's parameter 'answer' says nothing")
    return answer


def examples(params: Params) -> Sequence[Example]:
    """The answer in a sentence where it is a number, the bare answer where it is none; and another."""
    answer = _gold(params)
    gold = value_of_text(answer)
    if gold is None:
        return exact_answer.examples(params)
    return (
        Example(params, f"The answer is {answer}.", 1.0),
        Example(params, f"The answer is {gold + 1}.", 0.0),
    )


VERIFIER = Verifier("exact-answer-3", score, check_params, examples)
