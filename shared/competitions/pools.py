"""Prompt pools made from templates and word lists, and the split of the words by purpose.

Owners build held-out pools with it and miners' public prompts come from it too; words of different
purposes are disjoint, so no prompt leaks from one to another. Pure: the same seed gives the same pool.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from shared.errors import AgonError
from shared.protocol.loader import field_errors
from shared.protocol.prompt import Prompt
from shared.protocol.wire import Wire
from shared.types import PromptId, SliceName

Purpose = Literal["public", "proxy", "judge", "reference", "pool"]
PURPOSES: tuple[Purpose, ...] = ("public", "proxy", "judge", "reference", "pool")

DEMO_PROMPTS = Path(__file__).with_name("demo_prompts.toml")
"""Templates and words of the demo competition."""


class Words(Wire):
    """Words by purpose."""

    public: tuple[str, ...] = Field(min_length=1)
    """Prompts that miners train on."""
    proxy: tuple[str, ...] = Field(min_length=1)
    """Training prompts of the proxy judge."""
    judge: tuple[str, ...] = Field(min_length=1)
    """Training prompts of held-out judges."""
    reference: tuple[str, ...] = Field(min_length=1)
    """Prompts of the reference completions."""
    pool: tuple[str, ...] = Field(min_length=1)
    """Prompts of duels."""
    plain: frozenset[str] = frozenset()
    """Words that take no article."""

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        words = [word for purpose in PURPOSES for word in self.of(purpose)]
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            raise ValueError(f"words serve two purposes: {twice}")
        return self

    def of(self, purpose: Purpose) -> tuple[str, ...]:
        """The words of one purpose."""
        words: dict[Purpose, tuple[str, ...]] = {
            "public": self.public,
            "proxy": self.proxy,
            "judge": self.judge,
            "reference": self.reference,
            "pool": self.pool,
        }
        return words[purpose]

    def with_article(self, word: str) -> str:
        """`a kettle`, `an owl`, or the bare word where it takes no article."""
        if word in self.plain:
            return word
        return f"an {word}" if word[0] in "aeiou" else f"a {word}"


class Cluster(NamedTuple):
    """A template under one limit: its prompts differ in one word."""

    suffix: str
    template: str
    limit: int | None


class SliceTemplates(Wire):
    """Templates of one slice; with limits, every template meets every limit."""

    templates: tuple[str, ...] = Field(min_length=1)
    limits: tuple[int, ...] = ()
    """Word limits; they go into the prompt's parameters as `words`, and the word itself as `topic`."""

    def clusters(self) -> Iterator[Cluster]:
        """All clusters of the slice."""
        limits: tuple[int | None, ...] = self.limits or (None,)
        for number, template in enumerate(self.templates):
            for limit in limits:
                suffix = f"{number:02}" if limit is None else f"{number:02}-{limit}"
                yield Cluster(suffix, template, limit)


class PromptSource(Wire):
    """Everything that a competition's prompts are made from."""

    words: Words
    slices: dict[SliceName, SliceTemplates]


def load_prompt_source(path: Path = DEMO_PROMPTS) -> PromptSource:
    """Read templates and words. Raises AgonError `data_invalid` naming the wrong field."""
    try:
        return PromptSource.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise AgonError("data_invalid", f"cannot read {path}: {error}") from error
    except ValidationError as error:
        raise AgonError("data_invalid", f"{path}: {field_errors(error)}") from error


def make_pool(
    source: PromptSource, name: SliceName, purpose: Purpose, count: int, seed: int = 0
) -> tuple[Prompt, ...]:
    """`count` prompts of one slice, spread evenly over its clusters, words chosen by `seed`.

    Raises AgonError `pool_too_small` when words times templates are fewer than `count`.
    """
    words, templates = source.words.of(purpose), source.slices[name]
    clusters = list(templates.clusters())
    if len(words) * len(clusters) < count:
        raise AgonError(
            "pool_too_small", f"{name}: {len(words)} words x {len(clusters)} templates are fewer than {count}"
        )
    order = _shuffle([cluster.suffix for cluster in clusters], f"{seed}/{name}")
    columns = [_shuffle(words, f"{seed}/{name}/{suffix}") for suffix in order]
    named = {cluster.suffix: cluster for cluster in clusters}
    chosen = [
        (named[suffix], word)
        for row in zip(*columns, strict=True)
        for suffix, word in zip(order, row, strict=True)
    ]
    return tuple(_prompt(source.words, name, cluster, word) for cluster, word in chosen[:count])


def _prompt(words: Words, name: SliceName, cluster: Cluster, word: str) -> Prompt:
    text = cluster.template.format(thing=words.with_article(word), word=word, limit=cluster.limit)
    return Prompt(
        id=PromptId(f"{name}-{cluster.suffix}-{word}"),
        slice=name,
        cluster=f"{name}-{cluster.suffix}",
        text=text,
        params={} if cluster.limit is None else {"topic": word, "words": cluster.limit},
    )


def _shuffle(items: Sequence[str], salt: str) -> list[str]:
    """A permutation fixed by the salt alone, the same on every platform and Python version."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{salt}/{item}".encode()).digest())
