"""The taxonomy: nouns by category with their articles and plurals, split into public, judge and held-out.

`taxonomy.json` is written for this project and reviewed by hand; it says which nouns were left out and why.
Generators ask about nouns of one side only, so no noun that miners train on is in a duel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from shared.errors import AgonError
from shared.protocol.loader import field_errors
from shared.protocol.wire import Wire

TAXONOMY = Path(__file__).with_name("taxonomy.json")

NounSide = Literal["public", "judge", "held-out"]


class Nouns(Wire):
    """A category's nouns by side."""

    public: tuple[str, ...] = Field(min_length=1)
    """Miners train on these."""
    judge: tuple[str, ...] = Field(min_length=1)
    """Held-out judges train on these."""
    held_out: tuple[str, ...] = Field(min_length=1, alias="held-out")
    """Duels ask about these."""

    def of(self, side: NounSide) -> tuple[str, ...]:
        """The nouns of one side."""
        return {"public": self.public, "judge": self.judge, "held-out": self.held_out}[side]


class Category(Wire):
    """A kind of thing."""

    plural: str
    bare: bool
    """Its nouns take no article and have no plural: names and masses."""
    nouns: Nouns


class Taxonomy(Wire):
    """All categories."""

    version: int
    note: str
    categories: dict[str, Category]
    bare: tuple[str, ...]
    """Further nouns without article and plural."""
    plurals: dict[str, str]
    """Plurals that no rule makes."""
    articles: dict[str, Literal["a", "an"]]
    """Articles that the first letter does not tell."""
    apart: tuple[tuple[str, str], ...]
    """Pairs of categories that a reader could both accept for some noun."""
    also: dict[str, tuple[str, ...]]
    """Further categories that a reader could accept for one noun."""
    left_out: dict[str, str]
    """Nouns that have no place here, with the reason."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        nouns = [noun for side in ("public", "judge", "held-out") for noun in self._all(side)]
        if len(nouns) != len(set(nouns)):
            raise ValueError("a noun stands in two places")
        if known := sorted(set(nouns) & set(self.left_out)):
            raise ValueError(f"nouns are left out and in: {known}")
        named = {name for pair in (*self.apart, *self.also.values()) for name in pair}
        if unknown := sorted(named - set(self.categories)):
            raise ValueError(f"unknown categories: {unknown}")
        if unknown := sorted({*self.bare, *self.plurals, *self.articles, *self.also} - set(nouns)):
            raise ValueError(f"unknown nouns: {unknown}")
        return self

    def _all(self, side: NounSide) -> Iterator[str]:
        for category in self.categories.values():
            yield from category.nouns.of(side)

    def nouns(self, side: NounSide) -> tuple[tuple[str, str], ...]:
        """All (noun, category) of a side, in the order of the file."""
        return tuple(
            (noun, name) for name, category in self.categories.items() for noun in category.nouns.of(side)
        )

    def category_of(self, noun: str) -> str:
        """The noun's category. Raises KeyError for an unknown noun."""
        for name, category in self.categories.items():
            if any(noun in category.nouns.of(side) for side in ("public", "judge", "held-out")):
                return name
        raise KeyError(noun)

    def is_bare(self, noun: str) -> bool:
        """Whether a noun takes no article and has no plural."""
        return noun in self.bare or self.categories[self.category_of(noun)].bare

    def with_article(self, noun: str) -> str:
        """`a plum`, `an owl`, `copper`."""
        return noun if self.is_bare(noun) else f"{self.articles.get(noun) or article_of(noun)} {noun}"

    def plural(self, noun: str) -> str:
        """`plums`, `geese`; a name or mass as it is."""
        return noun if self.is_bare(noun) else self.plurals.get(noun) or plural_of(noun)

    def others(self, noun: str) -> tuple[str, ...]:
        """Categories that no reader accepts for the noun, in the order of the file."""
        own = self.category_of(noun)
        near = {own, *self.also.get(noun, ())} | {name for pair in self.apart if own in pair for name in pair}
        return tuple(name for name in self.categories if name not in near)


def article_of(words: str) -> str:
    """`a` or `an` by the first letter."""
    return "an" if words[0].lower() in "aeiou" else "a"


def plural_of(noun: str) -> str:
    """A regular plural."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


def list_options(options: tuple[str, ...]) -> str:
    """`a, b, c or d`."""
    return f"{', '.join(options[:-1])} or {options[-1]}"


@cache
def load_taxonomy() -> Taxonomy:
    """The project's taxonomy. Raises AgonError `data_invalid` naming the wrong field."""
    try:
        return Taxonomy.model_validate_json(TAXONOMY.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        details = field_errors(error) if isinstance(error, ValidationError) else str(error)
        raise AgonError("data_invalid", f"{TAXONOMY}: {details}") from error
