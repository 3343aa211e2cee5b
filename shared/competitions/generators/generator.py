"""What a generator of prompts is, and the one way in which templates become prompts.

A generator has templates and words for two sides: public ones that miners train on, and held-out ones that
duels are fought on. The round's seed draws the instances. Pure: the same seed gives the same prompts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import JsonValue

from shared.competitions.generators.chance import Chance, hash_parts
from shared.errors import AgonError
from shared.protocol.prompt import Prompt
from shared.protocol.wire import digest_of
from shared.types import Digest, PromptId, SliceName

Side = Literal["public", "held-out"]
SIDES: tuple[Side, ...] = ("public", "held-out")


class Generator(Protocol):
    """Makes as many prompts of one kind as a round asks for."""

    @property
    def name(self) -> str:
        """Name and version: a changed template or word gets a new name."""

    @property
    def verifier(self) -> str:
        """Name of the verifier that scores the answers."""

    @property
    def digest(self) -> Digest:
        """Digest of templates, words and version: what rules commit to."""

    def capacity(self, side: Side) -> int:
        """Distinct prompts that one seed can give."""

    def make(self, seed: Digest, slice: SliceName, count: int, side: Side) -> tuple[Prompt, ...]:
        """`count` prompts, distinct in wording. Raises AgonError `pool_too_small` beyond the capacity."""


class Wording(NamedTuple):
    """One instance of a template."""

    text: str
    params: dict[str, JsonValue]
    """What the verifier needs."""


class Template(NamedTuple):
    """A way to ask: fields to fill, each with its number of choices."""

    sizes: tuple[int, ...]
    write: Callable[[Sequence[int], Chance], Wording]
    """From the chosen index of each field. Other fields must give other wordings; the stream is for what does
    not tell prompts apart, such as the order of options."""

    @property
    def instances(self) -> int:
        """Distinct instances."""
        return math.prod(self.sizes)


@dataclass(frozen=True)
class TemplateGenerator:
    """The generator that all files here build."""

    name: str
    verifier: str
    content: Mapping[str, Any]
    """Texts, words and numbers that the prompts are made from, as plain JSON."""
    templates: Mapping[Side, tuple[Template, ...]]

    @property
    def digest(self) -> Digest:
        """Digest of templates, words and version."""
        return digest_of({"name": self.name, "verifier": self.verifier, "content": dict(self.content)})

    def capacity(self, side: Side) -> int:
        """Instances of all templates of a side."""
        return sum(template.instances for template in self.templates[side])

    def make(self, seed: Digest, slice: SliceName, count: int, side: Side) -> tuple[Prompt, ...]:
        """`count` prompts, spread evenly over the templates; fewer prompts are the head of more.

        Raises AgonError `pool_too_small` when there are fewer distinct instances.
        """
        if count > self.capacity(side):
            raise AgonError(
                "pool_too_small",
                f"{self.name} has {self.capacity(side)} distinct {side} prompts, fewer than {count}",
            )
        stem = (self.name, slice, side)
        label = hash_parts(seed, *stem).hex()[:16]
        templates = self.templates[side]
        order = Chance(seed, *stem, "templates").shuffle(range(len(templates)))
        left = Counter({number: templates[number].instances for number in order})
        seen: set[tuple[int, ...]] = set()
        prompts: list[Prompt] = []
        while len(prompts) < count:
            for number in [number for number in order if left[number]][: count - len(prompts)]:
                chance = Chance(seed, *stem, str(len(prompts)))
                fields = _fresh(chance, number, templates[number].sizes, seen)
                left[number] -= 1
                text, params = templates[number].write(fields, chance)
                prompts.append(
                    Prompt(
                        id=PromptId(f"{self.name}-{label}-{len(prompts):05}"),
                        slice=slice,
                        cluster=f"{self.name}-{side}-{number:02}",
                        text=text,
                        params=params,
                    )
                )
        return tuple(prompts)


def _fresh(chance: Chance, number: int, sizes: Sequence[int], seen: set[tuple[int, ...]]) -> tuple[int, ...]:
    """Fields of template `number` that are not in `seen` yet, and are put there. One must be left."""
    while True:
        fields = tuple(chance.below(size) for size in sizes)
        if (number, *fields) not in seen:
            seen.add((number, *fields))
            return fields
