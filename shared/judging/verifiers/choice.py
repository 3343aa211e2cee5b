"""`choice-1`: the right one of several options, said in a sentence.

Where the prompt has a subject, a sentence has to say of it what it is: a sentence that answers one prompt
answers no other. Without a subject the bare option is an answer.
Doubt is refused wherever it stands: a text that says `not`, `maybe` or `either` scores 0 even when it is
right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase

from shared.judging.verifiers.verifier import (
    SHAPE_GATES,
    Example,
    Params,
    Verifier,
    check_names,
    refuse,
    text_of,
    texts_of,
)
from shared.judging.verifiers.words import find_phrase, words_of

LEAST_WORDS = 3
"""`Marigolds are flowers` is a sentence; a title and a bare word are none."""
NAMES = frozenset({"options", "answer", "subject"})
_DOUBTS = """not no never neither nor none nobody cannot hardly barely either maybe perhaps possibly probably
    potentially might could likely unlikely unsure uncertain guess doubt seems appears unless whether wrong
    false incorrect opposite unlike except dont isnt arent"""
DOUBTS = frozenset(_DOUBTS.split())
"""Words that take an answer back. Any word that ends in n't is one too, and `may be` counts as `maybe`."""
_LINKS = """is are was were be being been belong belongs belonged call called calls count counts counted
    classify classified consider considered known means describes denotes falls fall refers qualifies"""
LINKS = frozenset(_LINKS.split())
"""Words that join a subject with what it is."""
_ARTICLES = frozenset(
    ("a", "an", "the", "some", "kind", "kinds", "type", "types", "sort", "sorts", "form", "of")
)
_SENTENCE = re.compile(r"(?:[^\n.!?]|[.!?](?![\s\"'”’)]|\Z))+[.!?]*")
_LETTER_MARKS = re.compile(
    r"\(([A-Z])\)|(?<![\w'’])([A-Z])\)|^\s*([A-Z])(?=[.:]\s|[.!]?\s*\Z)"
    r"|\b(?:[Oo]ption|[Cc]hoice|[Ll]etter|[Aa]nswer(?:\s+is|\s*:)|is|[Ii]t's)\s+\"?([A-Z])"
    r"(?=\"?[.,!;:]?\s*(?:\Z|[.,!;:]\s))",
    re.MULTILINE,
)
"""Letters that stand for an option; the article in `A plum` and the C of `vitamin C.` are none."""


@dataclass(frozen=True)
class Question:
    """The parameters, read."""

    options: tuple[tuple[str, ...], ...]
    right: int
    subject: tuple[str, ...]
    """No words where the prompt has no subject."""


def score(text: str, params: Params) -> float:
    """1 when the text names the right option, no other and the subject, and doubts nothing; else 0."""
    question = _read(params)
    words = words_of(text)
    subject, named, rest = _named(question, words)
    letters = _letters(text, len(question.options))
    if (question.subject and not subject) or (named | letters) != {question.right} or _doubts(rest):
        return 0.0
    if any(_hedged(question, sentence) for sentence in _sentences(text)):
        return 0.0
    by_name = any(_states(question, sentence) for sentence in _sentences(text) if not sentence.endswith("?"))
    return float(by_name or bool(letters))


def _named(question: Question, words: Sequence[str]) -> tuple[bool, set[int], list[str]]:
    """Whether the subject is named, which options are, and the words that name none of them.

    The longest phrase takes its words first: `apple tree` names no tree.
    """
    phrases = [(-1, question.subject), *enumerate(question.options)]
    free, found = list(range(len(words))), set()
    for number, phrase in sorted(phrases, key=lambda pair: -len(pair[1])):
        for start in find_phrase(phrase, words):
            places = range(start, start + len(phrase))
            if all(place in free for place in places):
                found.add(number)
                free = [place for place in free if place not in places]
    return -1 in found, found - {-1}, [words[place] for place in free]


def _letters(text: str, count: int) -> set[int]:
    marks = ("".join(groups) for groups in _LETTER_MARKS.findall(text))
    return {ascii_uppercase.index(mark) for mark in marks if ascii_uppercase.index(mark) < count}


def _doubts(words: Sequence[str]) -> bool:
    maybe = any(pair == ("may", "be") for pair in pairwise(words))
    return maybe or any(word in DOUBTS or word.endswith("n't") for word in words)


def _sentences(text: str) -> list[str]:
    return [match.group().strip() for match in _SENTENCE.finditer(text)]


def _states(question: Question, sentence: str) -> bool:
    """Whether a sentence names the right option; where there is a subject, behind a linking word."""
    words = words_of(sentence)
    option = find_phrase(question.options[question.right], words)
    if not option or not question.subject:
        return bool(option)
    links = [place for place, word in enumerate(words) if word in LINKS or word.endswith(("'s", "'re"))]
    return len(words) >= LEAST_WORDS and "=" not in sentence and bool(links) and max(option) > links[0]


def _hedged(question: Question, sentence: str) -> bool:
    """Whether the right option is one side of an `or`."""
    words, option = words_of(sentence), question.options[question.right]
    for start in find_phrase(option, words):
        before = start - 1
        while before >= 0 and words[before] in _ARTICLES:
            before -= 1
        after = start + len(option)
        if words[before : before + 1] == ["or"] and before >= 0:
            return True
        if words[after : after + 1] == ["or"]:
            return True
    return False


def check_params(params: Params) -> None:
    """Two options or more, one of them the answer, and a subject that is none of them."""
    check_names(params, NAMES)
    _read(params)


def _read(params: Params) -> Question:
    options, answer = texts_of(params, "options"), text_of(params, "answer")
    if not 2 <= len(options) <= len(ascii_uppercase):
        raise refuse(f"the verifier's parameter 'options' has {len(options)} options; 2 to 26 are allowed")
    if answer not in options:
        raise refuse(f"the verifier's answer {answer!r} is none of its options {list(options)}")
    subject = text_of(params, "subject") if "subject" in params else ""
    phrases = tuple(tuple(words_of(option)) for option in options)
    for text, phrase in zip(options, phrases, strict=True):
        if not phrase or _doubts(phrase):
            raise refuse(f"the verifier's option {text!r} cannot be told from a doubt or from silence")
        if phrase == tuple(words_of(subject)):
            raise refuse(f"the verifier's subject {subject!r} is one of its options")
        if sum(len(other) == len(phrase) and bool(find_phrase(phrase, other)) for other in phrases) > 1:
            raise refuse(f"the verifier's option {text!r} and another are one word")
    if subject and not words_of(subject):
        raise refuse(f"the verifier's subject {subject!r} is no word")
    return Question(phrases, options.index(answer), tuple(words_of(subject)))


def examples(params: Params) -> Sequence[Example]:
    """The right sentence; the same with other options, with two, with a doubt, and without the subject."""
    options, answer = texts_of(params, "options"), text_of(params, "answer")
    subject = str(params.get("subject", "It"))
    others = [option for option in options if option != answer]
    wrong = [f"{subject} is a {other}." for other in others]
    wrong += [f"{subject} is not a {answer}.", f"{subject} is a {answer} or a {others[0]}."]
    if "subject" in params:
        wrong += [f"It is a {answer}.", answer]
    return (
        Example(params, f"{subject} is a {answer}.", 1.0),
        *(Example(params, text, 0.0) for text in wrong),
    )


VERIFIER = Verifier("choice-1", score, check_params, examples, SHAPE_GATES)
