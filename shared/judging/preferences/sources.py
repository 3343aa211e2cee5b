"""Preference pairs of several sources: read together, told apart by name, and mixed by shares.

A judge learns what its pairs are about: truth, relevance, completeness, style, what people prefer. Each
source keeps its name, so that what the judge knows of each can be measured alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.errors import AgonError
from shared.judging.preferences.agreement import Agreement, compare_rewards
from shared.judging.preferences.pairs import PairFile, PreferencePair, read_pairs
from shared.protocol.wire import sha256_digest

MOST_COPIES = 16.0
"""Largest share: how often a pair may come in an epoch."""


@dataclass(frozen=True)
class PairSource:
    """A file of pairs and how often each of its pairs comes in an epoch."""

    path: Path
    share: float = 1.0


class SourcedAgreement(BaseModel):
    """A judge's agreement with pairs, as a whole and source by source."""

    model_config = ConfigDict(frozen=True)

    whole: Agreement
    sources: dict[str, Agreement | None]
    """None for a source with pairs of fewer than two prompts, which give no interval."""


def parse_source(text: str) -> PairSource:
    """`FILE`, or `FILE=SHARE` with a share above 0. Raises AgonError `usage`."""
    path, mark, share = text.rpartition("=")
    if not mark:
        return PairSource(Path(text))
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= MOST_COPIES:
        message = f"--pairs takes FILE or FILE=SHARE with a share from 0 to {MOST_COPIES:g}, not {text!r}"
        raise AgonError("usage", message)
    return PairSource(Path(path), value)


def read_sources(sources: Sequence[PairSource]) -> tuple[PairFile, dict[str, float]]:
    """The pairs of all files, and the share of every source whose pairs do not come once.

    Of several files, a pair without a source of its own is named after its file. Raises AgonError
    `data_invalid` as `read_pairs` does.
    """
    files = [read_pairs(source.path) for source in sources]
    alone = len(files) == 1
    named: list[PreferencePair] = []
    shares: dict[str, float] = {}
    for source, file in zip(sources, files, strict=True):
        own = [
            pair if pair.source or alone else replace(pair, source=_name(source.path)) for pair in file.pairs
        ]
        named += own
        if source.share != 1.0:
            shares |= dict.fromkeys((pair.source for pair in own), source.share)
    if alone:
        return files[0], shares
    digest = sha256_digest("".join(file.digest for file in files).encode())
    return PairFile(tuple(named), digest, sum(file.dropped for file in files)), shares


def mix(pairs: Sequence[PreferencePair], shares: Mapping[str, float], seed: int) -> list[PreferencePair]:
    """Every pair as often as its source's share says; of a broken share, pairs are chosen by hash."""
    mixed = []
    for pair in pairs:
        share = shares.get(pair.source, 1.0)
        mixed += [pair] * (int(share) + (_fraction(pair, seed) < share % 1.0))
    return mixed


def measure_sources(rewards: Sequence[float], pairs: Sequence[PreferencePair]) -> SourcedAgreement:
    """The agreement of `rewards` [2 * pairs], chosen and rejected in turn, whole and by source.

    Raises AgonError as `compare_rewards` does.
    """
    chosen, rejected = rewards[0::2], rewards[1::2]

    def agree(places: Sequence[int]) -> Agreement:
        return compare_rewards(
            [chosen[place] for place in places],
            [rejected[place] for place in places],
            [(len(pairs[place].chosen), len(pairs[place].rejected)) for place in places],
            [pairs[place].cluster for place in places],
        )

    by_name: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        by_name.setdefault(pair.source, []).append(place)
    by_name.pop("", None)
    sources = {
        name: agree(places) if len({pairs[place].cluster for place in places}) > 1 else None
        for name, places in sorted(by_name.items())
    }
    return SourcedAgreement(whole=agree(range(len(pairs))), sources=sources)


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def _fraction(pair: PreferencePair, seed: int) -> float:
    text = f"{seed}|{pair.source}|{pair.prompt}|{pair.chosen}|{pair.rejected}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
