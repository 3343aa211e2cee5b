"""The pay game's nouns: policies, commitments, what a miner sees, and the rules of a game.

`benchmarks/sim/game.py` plays by them and `benchmarks/sim/strategies.py` plays with them. A policy is
reduced to its true rise over the first base, in gain units, and to what each judge set adds to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from benchmarks.sim.simulation import PRODUCTION
from shared.stats.duel import Terms
from shared.types import Hotkey, RoundNumber

Cap = Literal["none", "live", "possible", "proven"]


@dataclass(frozen=True)
class Policy:
    """A checkpoint: its true rise over the first base in gain units, and what each judge set adds to it."""

    quality: float
    tastes: tuple[float, ...] = (0.0,)

    def under(self, judge_set: int) -> float:
        """Its level as that set of judges sees it."""
        return self.quality + self.tastes[judge_set % len(self.tastes)]


@dataclass(frozen=True)
class Entry:
    """One commitment. Files open with the slot: always, never, or only if this is the owner's best."""

    hotkey: Hotkey
    policy: Policy
    publish: Literal["always", "never", "best"] = "always"


@dataclass(frozen=True)
class Win:
    """A record of the game."""

    hotkey: Hotkey
    policy: Policy
    round: int
    step: float
    """True rise over the champion that fell."""
    gain: float


@dataclass(frozen=True)
class View:
    """What every miner can see before a round closes."""

    round: int
    champion: Policy
    wins: Sequence[Win]
    busy: frozenset[Hotkey]
    """Hotkeys with a duel under way."""
    free_at: Mapping[Hotkey, RoundNumber]
    open_files: Sequence[tuple[Hotkey, Policy]]
    """Every policy published so far, with its hotkey: anybody can read them."""
    level: float
    """Champion's mean score as its last confirmation showed it."""

    def ready(self, hotkey: Hotkey) -> bool:
        """Whether a commitment of this hotkey could get a slot now."""
        return hotkey not in self.busy and self.free_at.get(hotkey, 0) <= self.round

    def crowned(self, policy: Policy) -> bool:
        """Whether exactly this policy has a record."""
        return any(win.policy == policy for win in self.wins)


class Strategy(Protocol):
    """One miner: what it commits before each close, under hotkeys that start with `owner`."""

    owner: str

    def enter(self, view: View) -> Sequence[Entry]:
        """Commitments of this round; for a hotkey under way or resting they replace what waits."""
        ...


@dataclass(frozen=True)
class World:
    """The rules of a game; production's unless said otherwise."""

    terms: Terms = PRODUCTION
    slots: int = 16
    alpha: float = 0.05
    horizon: int = 100
    full_gain: float = 0.10
    half_life: float = 27.0
    """About the longest that a build allows: the least record earns at most two round-emissions."""
    set_rounds: int = 4
    """Rounds that a judge set serves."""
    cap: Cap = "none"
    """What bounds gains by the champion's measured rise over the base: nothing; what is left of the gains of
    this version; all of them, by the rise that is possible; all of them, by the rise that is proven."""
    rebase_at: float = 0.75
    start: float = 0.0
    """True level of the first champion."""
    active: int = 84
    """Rounds in which strategies act."""
    rounds: int = 270
    """Rounds over which pay is summed, undiscounted."""
    ages_only: bool = False
    """Wear by age alone, whatever was paid: the plain rule to compare with."""
