"""Preference pairs made from facts: what each pair is about is known, because it was made so.

A judge that learns them knows truth, relevance, completeness and fluency, and that style is worth nothing.
Training and measuring take other nouns and other phrases. Pure: the same facts and seed give the same pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from shared.competitions.generators.taxonomy import NounSide, article_of, load_taxonomy
from shared.judging.preferences.pairs import PreferencePair

T = TypeVar("T")
Phrasing = Literal["training", "held-out"]


@dataclass(frozen=True)
class Fact:
    """What a thing is, and what nobody would call it; all with their articles, such as `a plum`."""

    thing: str
    kind: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Phrases:
    """How a prompt asks, how a sentence states, and what is said instead of an answer."""

    questions: tuple[str, ...]
    sentences: tuple[str, ...]
    details: tuple[str, ...]
    fragments: tuple[str, ...]
    evasions: tuple[str, ...]
    """Refusals, praise and empty words: about anything, so about nothing."""


PHRASES: dict[Phrasing, Phrases] = {
    "training": Phrases(
        questions=(
            "What is {thing}?",
            "What kind of thing is {thing}? Answer in one short sentence.",
            "In one sentence, what is {thing}?",
            "Tell me what {thing} is.",
        ),
        sentences=(
            "{Thing} is {kind}.",
            "{Thing} is {kind} that many people know.",
            "{Thing} is one kind of {bare}.",
        ),
        details=("It is easy to find.", "You may have seen one before.", "Most people have heard of it."),
        fragments=("{Kind}.", "It's {kind}."),
        evasions=(
            "{Thing} is a thing that many people know.",
            "I am sorry, but I cannot answer that question.",
            "{Thing} is great and everybody loves it.",
            "What a lovely question about {thing}!",
            "{Thing}",
            "{Thing} = something",
            "It depends on what you mean.",
        ),
    ),
    "held-out": Phrases(
        questions=(
            "Explain briefly what {thing} is.",
            "What sort of thing would you call {thing}? One short sentence, please.",
            "Please say in a single sentence what {thing} is.",
            "How would you describe {thing} to a child?",
        ),
        sentences=(
            "{Thing} is a type of {bare}.",
            "We call {thing} {kind}.",
            "{Thing} belongs to the group {bare}.",
        ),
        details=("They are common in many places.", "Almost everybody knows it.", "There are many of them."),
        fragments=("{Kind}", "Simply {kind}."),
        evasions=(
            "{Thing} is something that exists.",
            "As an assistant, I would rather not say.",
            "{Thing} is wonderful, important and truly special.",
            "That is a very good thing to ask about!",
            "About {thing}",
            "Solo = {Thing}",
            "There are many answers to this.",
        ),
    ),
}
"""Training and held-out phrases share no template."""

STYLES: tuple[tuple[str, str], ...] = (
    ("bold", "**{text}**"),
    ("bullet", "- {text}"),
    ("heading", "# Answer\n{text}"),
    ("exclaim", "{text}!!"),
    ("emoji", "{text} \U0001f600"),
)
"""Ways to dress a text that change nothing of what it says."""
SOURCES = ("truth", "relevance", "completeness", "fluency", "fullness", "evasion", "style", "length")


def facts_of(side: NounSide) -> list[Fact]:
    """What the nouns of one side are. Judges learn from `judge`, and are measured on `held-out`."""
    taxonomy = load_taxonomy()
    return [
        Fact(
            taxonomy.with_article(noun),
            _named(category),
            tuple(_named(other) for other in taxonomy.others(noun)),
        )
        for noun, category in taxonomy.nouns(side)
    ]


def construct(
    facts: Sequence[Fact], phrasing: Phrasing, seed: int, per_fact: int = 8
) -> list[PreferencePair]:
    """`per_fact` pairs for every fact, one after another of the sources in turn.

    Raises ValueError with fewer than two facts: a relevant answer needs another thing beside it.
    """
    if len({fact.thing for fact in facts}) < 2:
        raise ValueError("pairs are made of two facts at least")
    made: list[PreferencePair] = []
    for number, fact in enumerate(facts):
        maker = _Maker(fact, facts, PHRASES[phrasing], f"{seed}|{phrasing}|{number}|{fact.thing}")
        for turn in range(per_fact):
            made.extend(maker.pairs(SOURCES[(number + turn) % len(SOURCES)]))
    return [pair for pair in made if pair.chosen != pair.rejected]


class _Maker:
    """Pairs about one fact; every choice follows from a hash."""

    def __init__(self, fact: Fact, facts: Sequence[Fact], phrases: Phrases, salt: str) -> None:
        self._fact, self._phrases, self._salt, self._draws = fact, phrases, salt, 0
        self._others = [other for other in facts if other.thing != fact.thing]

    def pairs(self, source: str) -> Iterator[PreferencePair]:
        """The pairs of one source; style and length come both ways, so that they say nothing."""
        makers: dict[str, Callable[[], list[tuple[str, str]]]] = {
            "truth": self._truth,
            "relevance": self._relevance,
            "completeness": self._completeness,
            "fluency": self._fluency,
            "fullness": self._fullness,
            "evasion": self._evasion,
            "style": self._style,
            "length": self._length,
        }
        question = self._fill(self._pick(self._phrases.questions), self._fact.kind)
        for chosen, rejected in makers[source]():
            yield PreferencePair(question, chosen, rejected, source)

    def _truth(self) -> list[tuple[str, str]]:
        form = self._pick((*self._phrases.sentences, *self._phrases.fragments))
        return [(self._fill(form, self._fact.kind), self._fill(form, self._pick(self._fact.wrong)))]

    def _relevance(self) -> list[tuple[str, str]]:
        other = self._pick(self._others)
        stray = _fill(self._pick(self._phrases.sentences), other.thing, other.kind)
        return [(self._true(), stray)]

    def _completeness(self) -> list[tuple[str, str]]:
        whole = self._true() + " " + self._pick(self._phrases.details)
        words = whole.split()
        kept = 2 + self._number(len(words) - 3)
        return [(whole, " ".join(words[:kept]).rstrip(".!?,"))]

    def _fluency(self) -> list[tuple[str, str]]:
        true, words = self._true(), self._true().split()
        garbled = sorted(words, key=lambda word: _hash(f"{self._salt}|{self._draws}|{word}"))
        doubled = [word for word in words for _ in range(2)]
        return [(true, " ".join(garbled)), (true, " ".join(doubled))]

    def _fullness(self) -> list[tuple[str, str]]:
        """A sentence beats a fragment that is as true: a sentence was asked for."""
        return [(self._true(), self._fill(self._pick(self._phrases.fragments), self._fact.kind))]

    def _evasion(self) -> list[tuple[str, str]]:
        return [(self._true(), self._fill(self._pick(self._phrases.evasions), self._fact.kind))]

    def _style(self) -> list[tuple[str, str]]:
        """True beats false whichever of them is dressed up."""
        true, false, (_, style) = self._true(), self._false(), self._pick(STYLES)
        return [(true, style.format(text=false)), (style.format(text=true), false)]

    def _length(self) -> list[tuple[str, str]]:
        """True beats false whichever of them is padded."""
        true, false, more = self._true(), self._false(), self._pick(self._phrases.details)
        return [(true, f"{false} {more}"), (f"{true} {more}", false)]

    def _true(self) -> str:
        return self._fill(self._pick(self._phrases.sentences), self._fact.kind)

    def _false(self) -> str:
        return self._fill(self._pick(self._phrases.sentences), self._pick(self._fact.wrong))

    def _fill(self, form: str, kind: str) -> str:
        return _fill(form, self._fact.thing, kind)

    def _pick(self, items: Sequence[T]) -> T:
        return items[self._number(len(items))]

    def _number(self, below: int) -> int:
        self._draws += 1
        return int.from_bytes(_hash(f"{self._salt}|{self._draws}")[:8], "big") % max(1, below)


def _named(category: str) -> str:
    return f"{article_of(category)} {category}"


def _fill(form: str, thing: str, kind: str) -> str:
    bare = kind.split(" ", 1)[1] if kind.startswith(("a ", "an ")) else kind
    return form.format(
        thing=thing, Thing=thing[0].upper() + thing[1:], kind=kind, Kind=kind[0].upper() + kind[1:], bare=bare
    )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
