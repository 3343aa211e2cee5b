"""Ways to play the pay game: the honest one, and those that try to be paid more for the same progress.

Each is one small class. A strategy sees what miners see and answers with commitments; how they end is
decided by `benchmarks/sim/game.py`. True steps are recipes: they add to whatever champion is public, so
nobody can take a hoarded step first. That favours waiting, and so makes a harder test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.sim.world import Entry, Policy, View
from shared.types import Hotkey

Step = tuple[int, float]
"""Round from which a true step is submitted, and its size in gain units."""


@dataclass
class Steps:
    """Brings each step when its round has come, and again until it is crowned.

    All in one step is the honest way; in pieces it is the drip; with late rounds, the hoard.
    """

    owner: str
    steps: Sequence[Step]
    sent: list[Policy] = field(default_factory=list)

    def enter(self, view: View) -> Sequence[Entry]:
        """All that is due, on the public champion; a step that a copier was crowned with is gone."""
        hotkey = Hotkey(f"{self.owner}-0")
        taken = sum(win.step for win in view.wins if win.hotkey == hotkey or win.policy in self.sent)
        due = self.found(view) - taken
        if due <= 1e-9 or not view.ready(hotkey) or not self.may_enter(view):
            return []
        self.sent.append(Policy(view.champion.quality + due, view.champion.tastes))
        return [Entry(hotkey, self.sent[-1])]

    def found(self, view: View) -> float:
        """True progress that may be brought by now."""
        return sum(size for start, size in self.steps if start <= view.round)

    def may_enter(self, _view: View) -> bool:
        """Whether this is the moment; always, for who does not time."""
        return True


class Snipe(Steps):
    """Holds what it has until somebody else was crowned the round before, and goes on top of that."""

    def may_enter(self, view: View) -> bool:
        """Right after another's crown."""
        return any(
            win.round == view.round - 1 and not win.hotkey.startswith(f"{self.owner}-") for win in view.wins
        )


class RebaseTiming(Steps):
    """Brings only its first step until the competition has re-based, and the rest low on the scale.

    A first step of 0 leaves it to others to move the champion.
    """

    def found(self, view: View) -> float:
        """All once the champion's mean is low again."""
        return sum(size for _, size in self.steps) if view.level < 0.6 else self.steps[0][1]


@dataclass
class Nested:
    """Sybils that split one step: each commits a longer part of it, all in the first round."""

    owner: str
    total: float
    parts: int
    parents: dict[Hotkey, Policy] = field(default_factory=dict)

    def enter(self, view: View) -> Sequence[Entry]:
        """Every part once; who failed tries again while it still is ahead of the champion."""
        entries = []
        for part in range(1, self.parts + 1):
            hotkey = Hotkey(f"{self.owner}-{part}")
            policy = self.parents.setdefault(hotkey, Policy(self.total * part / self.parts))
            if view.ready(hotkey) and not view.crowned(policy) and policy.quality > view.champion.quality:
                entries.append(Entry(hotkey, policy))
        return entries


@dataclass
class Pack:
    """Many hotkeys that commit one policy: all publish, or only the best, or all but some decoys."""

    owner: str
    step: float
    """True progress of the policy; 0 for copies of the champion, which never end."""
    size: int
    secret: bool = False
    """Whether prompts and judges leaked: the owner replays all duels and publishes only the best winner."""
    decoys: int = 0
    """Further hotkeys that commit and always withhold."""
    target: Policy | None = None

    def enter(self, view: View) -> Sequence[Entry]:
        """The same policy under every hotkey that may compete."""
        if self.target is None or view.champion.quality >= self.target.quality:
            self.target = Policy(view.champion.quality + self.step)
        if self.step > 0 and any(win.hotkey.startswith(f"{self.owner}-") for win in view.wins):
            return []
        names = [Hotkey(f"{self.owner}-{index}") for index in range(self.size + self.decoys)]
        return [self._entry(index, name) for index, name in enumerate(names) if view.ready(name)]

    def _entry(self, index: int, hotkey: Hotkey) -> Entry:
        if index >= self.size:
            return Entry(hotkey, self.target or Policy(0.0), "never")
        return Entry(hotkey, self.target or Policy(0.0), "best" if self.secret else "always")


@dataclass
class SelfDethrone:
    """Brings its step at once, then throws copies of its own champion at it to be crowned by luck."""

    owner: str
    total: float
    copies: int = 3
    honest: Steps = field(init=False)
    pack: Pack = field(init=False)

    def __post_init__(self) -> None:
        self.honest = Steps(self.owner, [(0, self.total)])
        self.pack = Pack(f"{self.owner}-copy", 0.0, self.copies)

    def enter(self, view: View) -> Sequence[Entry]:
        """The step, and copies while the crown is its own."""
        ours = bool(view.wins) and view.wins[-1].hotkey.startswith(f"{self.owner}-")
        return [*self.honest.enter(view), *(self.pack.enter(view) if ours else [])]


@dataclass
class Ring:
    """Two policies that two kinds of judge sets like in turn; who is not champion challenges."""

    owner: str
    common: float
    taste: float

    def enter(self, view: View) -> Sequence[Entry]:
        """The one of the pair that does not reign; both at first."""
        tastes = ((self.taste, -self.taste), (-self.taste, self.taste))
        pair = [(Hotkey(f"{self.owner}-{i}"), Policy(self.common, taste)) for i, taste in enumerate(tastes)]
        return [
            Entry(hotkey, policy) for hotkey, policy in pair if policy != view.champion and view.ready(hotkey)
        ]


@dataclass
class CopyUnproven:
    """Copies others' policies whose files are open and that hold no record, from the next round on."""

    owner: str
    hotkeys: int

    def enter(self, view: View) -> Sequence[Entry]:
        """The newest one that is ahead of the champion, under every hotkey that may compete."""
        targets = [
            policy
            for hotkey, policy in view.open_files
            if not hotkey.startswith(f"{self.owner}-") and policy.quality > view.champion.quality
        ]
        names = (Hotkey(f"{self.owner}-{index}") for index in range(self.hotkeys))
        return [Entry(name, targets[-1]) for name in names if targets and view.ready(name)]


def every(period: int, size: float, first: int, count: int) -> list[Step]:
    """Equal steps at equal distances."""
    return [(first + index * period, size) for index in range(count)]
