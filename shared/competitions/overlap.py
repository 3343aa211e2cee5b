"""How much held-out prompts share with open ones: copies of a template are no held-out prompts.

Builds call it. Nouns, names and numbers are replaced by one placeholder before word 5-grams are compared, so
a prompt that differs from an open one only in what it asks about is found. Pure; it decides nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal, NamedTuple

from pydantic import JsonValue

from shared.competitions.generators import words
from shared.competitions.generators.taxonomy import load_taxonomy
from shared.protocol.prompt import Prompt

LENGTH = 5
"""Words of a gram."""
SHARED = 0.5
"""A held-out prompt may share less than this part of its grams with one open prompt."""
PLACEHOLDER = "#"
MEANINGS = ("kind", "relation")
"""Parameters that say what is to be checked, not what the prompt is about."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LIST = re.compile(r"#(?: (?:(?:and|or|a|an|the) )*#)+")

Gram = tuple[str, ...]


class Finding(NamedTuple):
    """Something that makes a pool less held out than it looks."""

    kind: Literal["copy", "labels"]
    message: str
    held_out: str
    """Identifier of the prompt, or the cluster."""
    open: str = ""
    """Identifier of the open prompt that it copies."""


def check_overlap(held_out: Iterable[Prompt], open_: Iterable[Prompt]) -> list[Finding]:
    """Held-out prompts that largely are open ones, and held-out clusters that are mere labels.

    A gram of nothing but placeholders and joining words counts for nothing.
    """
    mine, theirs = list(held_out), list(open_)
    return [*_copies(mine, theirs), *_labels(mine)]


def _copies(held_out: Sequence[Prompt], open_: Sequence[Prompt]) -> Iterator[Finding]:
    holders: dict[Gram, list[int]] = defaultdict(list)
    for number, words_ in enumerate(_wordings(open_)):
        for gram in _grams(words_, LENGTH):
            holders[gram].append(number)
    for prompt, words_ in zip(held_out, _wordings(held_out), strict=True):
        grams = _grams(words_, LENGTH)
        shared = Counter(number for gram in grams for number in holders.get(gram, ()))
        if not shared:
            continue
        number, count = min(shared.items(), key=lambda pair: (-pair[1], pair[0]))
        if count >= SHARED * len(grams):
            other = open_[number]
            message = (
                f"held-out prompt {prompt.id} shares {count} of its {len(grams)} {LENGTH}-grams with the open"
                f" prompt {other.id}: {prompt.text!r} and {other.text!r}"
            )
            yield Finding("copy", message, prompt.id, other.id)


def _wordings(prompts: Sequence[Prompt]) -> list[list[str]]:
    """The words of each prompt, those that less than half of its cluster has as placeholders too.

    In a cluster of fewer than three, or where most of a prompt would go, known nouns alone are replaced.
    """
    plain = [_plain_words(prompt) for prompt in prompts]
    sizes = Counter((prompt.slice, prompt.cluster) for prompt in prompts)
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for prompt, words_ in zip(prompts, plain, strict=True):
        counts[prompt.slice, prompt.cluster].update(set(words_))
    found = []
    for prompt, words_ in zip(prompts, plain, strict=True):
        cluster = prompt.slice, prompt.cluster
        kept = [word if 2 * counts[cluster][word] >= sizes[cluster] else PLACEHOLDER for word in words_]
        lost = kept.count(PLACEHOLDER) - words_.count(PLACEHOLDER)
        found.append(_collapse(kept) if sizes[cluster] > 2 and 2 * lost < len(words_) else words_)
    return found


def _labels(prompts: Sequence[Prompt]) -> Iterator[Finding]:
    clusters: dict[tuple[str, str], list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        clusters[prompt.slice, prompt.cluster].append(prompt)
    if len(prompts) > 1 and len(clusters) == len(prompts):
        yield Finding("labels", f"all {len(clusters)} clusters have one prompt", "")
        return
    for (_, cluster), members in clusters.items():
        counts = Counter(gram for prompt in members for gram in _grams(_plain_words(prompt), 3))
        if len(members) > 1 and max(counts.values(), default=0) < 2:
            message = f"the {len(members)} prompts of cluster {cluster} share no wording: it is a mere label"
            yield Finding("labels", message, cluster)


def _grams(plain: Sequence[str], length: int) -> set[Gram]:
    """The grams of a wording; a shorter wording is one gram."""
    starts = range(max(1, len(plain) - length + 1))
    grams = {tuple(plain[start : start + length]) for start in starts}
    return {gram for gram in grams if any(word != PLACEHOLDER for word in gram)}


def _plain_words(prompt: Prompt) -> list[str]:
    """Words with a placeholder for each noun, name, number or list of them."""
    own = _own_phrases(prompt)
    text = " ".join(word.lower().replace("’", "'") for word in _WORD.findall(prompt.text))
    for phrase in sorted(own, key=lambda phrase: (-len(phrase), phrase)):
        text = re.sub(rf"(?<!\S)(?:(?:a|an) )?{re.escape(phrase)}(?!\S)", PLACEHOLDER, text)
    known = _known_words()
    found = [
        PLACEHOLDER
        if word in known or word.removesuffix("'s") in known or any(map(str.isdigit, word))
        else word
        for word in text.split()
    ]
    return _collapse(found)


def _collapse(words_: Sequence[str]) -> list[str]:
    """A placeholder without its article, and one for a whole list of them."""
    return _LIST.sub(PLACEHOLDER, re.sub(r"(?<!\S)(?:an|a) #(?!\S)", PLACEHOLDER, " ".join(words_))).split()


def _own_phrases(prompt: Prompt) -> set[str]:
    """What the prompt asks about: the texts of its parameters."""
    texts = {text.lower() for value in prompt.params.values() for text in _texts(value)}
    return {" ".join(_WORD.findall(text)) for text in texts} - {""}


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in named:
            if name not in MEANINGS:
                yield from _texts(item)


@cache
def _known_words() -> frozenset[str]:
    """Nouns and names that stand for themselves in any prompt: the taxonomy's and the word problems'."""
    taxonomy = load_taxonomy()
    nouns = [noun for side in ("public", "judge", "held-out") for noun, _ in taxonomy.nouns(side)]
    lists = (words.NAMES, words.PLACES, words.THINGS, words.EVENTS)
    listed = [word for each in lists for side in each.values() for word in side]
    found = [*nouns, *map(taxonomy.plural, nouns), *listed, *words.DAYS, *words.MONTHS]
    return frozenset(word.lower() for word in found)
