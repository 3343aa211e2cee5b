"""The pay game: strategies commit, the real rules decide and pay, over a whole competition.

Queue, slots, cooldowns, shares of alpha, stops, confirmation, gain, wear and cap are the code that
validators run; only rows are simulated. `benchmarks/incentives/incentives.py` plays
`benchmarks/sim/strategies.py` here. One model is assumed: a completion's latent score is normal, so that a
policy which rises by g in gain units has mean score Phi(sqrt(2 pi) g), and both sides' scores correlate so
that d has sd 0.26 in the middle of the scale.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.special import ndtr

from benchmarks.sim.simulation import PLAN, Floats
from benchmarks.sim.world import Entry, Policy, Strategy, View, Win, World
from shared.stats.confirmation import GAIN_QUANTILE, SLICE_QUANTILE
from shared.stats.duel import Terms, confirm_by, first_threshold
from shared.stats.eprocess import alpha_share
from shared.stats.payout import anchor_cap, probit_gain, wear
from shared.stats.queue import Candidate, finished_cooldown, free_after, slots, withheld_cooldown
from shared.stats.rows import Row, batch_means, mean_and_error
from shared.types import BlockNumber, Hotkey, RoundNumber

LATENT = 2.0 * math.sqrt(math.pi)
"""Latent standard deviations by which one unit of gain shifts a policy's completions."""

SHARED = 0.612
"""Correlation of latent scores on one prompt: sd(d) = 0.26 between equal policies."""

FIRST_CHUNK = 1024
"""Test rows looked at first: most duels end there, and the first stop is the same."""


@dataclass
class Bout:
    """A duel under way."""

    entry: Entry
    priority: tuple[int, int]
    alpha: float = 0.0
    test: list[Floats] = field(default_factory=list)
    """d of the test rows, one array a round."""


@dataclass(frozen=True)
class Ending:
    """What a round's prompts made of a duel; the level is the challenger's mean score on fresh rows."""

    kind: Literal["won", "ended", "carried", "withheld"]
    gain: float = 0.0
    level: float = 0.5
    proven: float = 0.0
    """Lower bound (one-sided 90%) of its rise over the base, gain units."""
    possible: float = 0.0
    """Upper bound (one-sided 95%) of the same."""


def owner_of(hotkey: str) -> str:
    """Whose hotkey it is."""
    return hotkey.split("-", maxsplit=1)[0]


class Game:
    """One run. With the same seed an owner's n-th round of duels has the same luck, whenever it comes."""

    def __init__(self, world: World, strategies: Sequence[Strategy], seed: int) -> None:
        self.world, self.strategies, self.seed = world, strategies, seed
        self.champion, self.base = Policy(world.start), Policy(0.0)
        self.level = float(ndtr(LATENT * world.start / math.sqrt(2.0)))
        self.trial = self.round = 0
        self.turns: Counter[str] = Counter()
        """Rounds of duels that each owner has had."""
        self.waiting: dict[Hotkey, tuple[int, Entry]] = {}
        self.bouts: dict[Hotkey, Bout] = {}
        self.rests: dict[Hotkey, tuple[int, int, RoundNumber]] = {}
        self.wins: list[Win] = []
        self.files: list[tuple[Hotkey, Policy]] = []
        """Published policies, oldest first."""
        self.version: list[float] = []
        """Gains since the last re-base."""
        self.left: Floats = np.zeros(0)
        self.paid: Floats = np.zeros(0)

    def play(self) -> dict[str, float]:
        """Round-emissions that every owner was paid."""
        for number in range(self.world.active):
            self.round = number
            self._commit()
            self._open()
            playing = list(self.bouts)
            self._settle({hotkey: self.duel(bout) for hotkey, bout in self.bouts.items()})
            self.turns.update({owner_of(hotkey) for hotkey in playing})
            self._pay()
        for _ in range(self.world.active, self.world.rounds):
            self._pay()
        pay = dict.fromkeys((strategy.owner for strategy in self.strategies), 0.0)
        for win, amount in zip(self.wins, self.paid.tolist(), strict=True):
            pay[owner_of(win.hotkey)] += amount
        return pay

    def _commit(self) -> None:
        free_at = {hotkey: rest[2] for hotkey, rest in self.rests.items()}
        busy = frozenset(self.bouts)
        view = View(self.round, self.champion, self.wins, busy, free_at, self.files, self.level)
        for strategy in self.strategies:
            for entry in strategy.enter(view):
                self.waiting[entry.hotkey] = (self.round, entry)

    def _open(self) -> None:
        """Give slots, and every new or restarted duel its share of alpha."""
        round_number = RoundNumber(self.round)
        rests = {hotkey: rest[2] for hotkey, rest in self.rests.items()}
        candidates = [
            Candidate(hotkey, BlockNumber(since), rests.get(hotkey, RoundNumber(0)))
            for hotkey, (since, _) in self.waiting.items()
            if hotkey not in self.bouts
        ]
        seed = hashlib.sha256(f"{self.seed}|{self.round}".encode()).digest()
        for rank, place in enumerate(slots(candidates, round_number, seed, self.world.slots)):
            _, entry = self.waiting.pop(place.hotkey)
            self.bouts[place.hotkey] = Bout(entry, (self.round, rank))
        new = [bout for bout in self.bouts.values() if not bout.test]
        if new:
            self.trial += 1
            share = alpha_share(self.world.alpha, self.trial, len(new), self.world.horizon)
            for bout in new:
                bout.alpha = share

    def scores(self, owner: str, name: str, policy: Policy, count: int) -> Floats:
        """Scores of a policy on the prompts of the owner's duels of this round; `name` picks its own luck."""
        turn = [self.seed, zlib.crc32(owner.encode()), self.turns[owner]]
        prompts = np.random.default_rng(turn).standard_normal(count)
        own = np.random.default_rng([*turn, zlib.crc32(name.encode())]).standard_normal(count)
        judge_set = self.round // self.world.set_rounds
        middle = LATENT * (policy.under(judge_set) - self.base.under(judge_set))
        return np.asarray(ndtr(middle + math.sqrt(SHARED) * prompts + math.sqrt(1.0 - SHARED) * own))

    def duel(self, bout: Bout) -> Ending:
        """Feed a duel the round's prompts, as the stepper would."""
        terms = replace(self.world.terms, alpha=bout.alpha)
        count = terms.max + terms.gain
        owner = owner_of(bout.entry.hotkey)
        challenger = self.scores(owner, bout.entry.hotkey, bout.entry.policy, count)
        champion = self.scores(owner, "champion", self.champion, count)
        d = challenger - champion
        before = sum(map(len, bout.test))
        for rows in (min(FIRST_CHUNK, terms.max), terms.max):
            test = np.concatenate([*bout.test, d[:rows]])
            end, stop = first_threshold(terms, test)
            if stop is not None:
                break
        if stop == "crossed":
            fresh = slice(end - before, end - before + terms.gain)
            return self._confirm(terms, challenger[fresh], champion[fresh])
        bout.test.append(d[: terms.max])
        carries = stop is None and len(bout.test) <= terms.carried_rounds
        return Ending("carried" if carries else "ended")

    def _confirm(self, terms: Terms, challenger: Floats, champion: Floats) -> Ending:
        names = [name for name, count in PLAN for _ in range(count)]
        rows = [
            Row(names[i % len(names)], d, d, 0.0, 1.0, False, s)
            for i, (d, s) in enumerate(zip((challenger - champion).tolist(), champion.tolist(), strict=True))
        ]
        found = confirm_by(terms, rows)
        if found.failed is not None:
            return Ending("ended")
        level, error = mean_and_error(batch_means(challenger, terms.plan))
        proven, possible = (
            probit_gain(level + errors * error - 0.5, 0.5) for errors in (-GAIN_QUANTILE, SLICE_QUANTILE)
        )
        return Ending("won", probit_gain(found.bound, found.champion_mean), level, proven, possible)

    def _settle(self, endings: dict[Hotkey, Ending]) -> None:
        """Withhold what its owner withholds, crown the first winner, restart or end the rest."""
        endings = {hotkey: self._published(hotkey, endings) for hotkey in endings}
        order = sorted(endings, key=lambda hotkey: self.bouts[hotkey].priority)
        winner = next((hotkey for hotkey in order if endings[hotkey].kind == "won"), None)
        for hotkey, ending in endings.items():
            file = (hotkey, self.bouts[hotkey].entry.policy)
            if ending.kind != "withheld" and file not in self.files:
                self.files.append(file)
            if hotkey != winner and ending.kind in ("ended", "withheld"):
                self._rest(hotkey, ending)
                del self.bouts[hotkey]
        if winner is not None:
            self._crown(winner, endings[winner])

    def _published(self, hotkey: Hotkey, endings: Mapping[Hotkey, Ending]) -> Ending:
        publish, ending = self.bouts[hotkey].entry.publish, endings[hotkey]
        if publish == "always":
            return ending
        pack = [name for name, bout in self.bouts.items() if bout.entry.publish == "best"]
        best = max(pack, key=lambda name: endings[name].gain, default=None)
        shown = publish == "best" and hotkey == best and ending.kind == "won"
        return ending if shown else Ending("withheld")

    def _rest(self, hotkey: Hotkey, ending: Ending) -> None:
        finished, withheld, free = self.rests.get(hotkey, (0, 0, RoundNumber(0)))
        kept = ending.kind == "withheld"
        finished, withheld = finished + (not kept), withheld + kept
        cooldown = withheld_cooldown(withheld) if kept else finished_cooldown(finished)
        until = max(free, free_after(RoundNumber(self.round), cooldown))
        self.rests[hotkey] = (finished, withheld, until)

    def _crown(self, winner: Hotkey, ending: Ending) -> None:
        policy, gain = self.bouts.pop(winner).entry.policy, ending.gain
        if self.world.cap in ("proven", "possible"):
            rise = ending.proven if self.world.cap == "proven" else ending.possible
            gain = min(gain, rise - math.fsum(self.version))
            gain = gain if gain > self.world.terms.margin else 0.0
        self.rests.pop(winner, None)
        self.wins.append(Win(winner, policy, self.round, policy.quality - self.champion.quality, gain))
        self.version.append(gain)
        self.left, self.paid = np.append(self.left, gain), np.append(self.paid, 0.0)
        if self.world.cap == "live":
            first = len(self.left) - len(self.version)
            capped = anchor_cap(self.left[first:].tolist(), ending.possible)
            self.left = np.append(self.left[:first], capped)
        self.champion, self.level, self.trial = policy, ending.level, 0
        if ending.level >= self.world.rebase_at:
            self.base, self.version, self.level = policy, [], 0.5
        for bout in self.bouts.values():
            bout.test = []

    def _pay(self) -> None:
        self.paid = self.paid + self.left / max(self.world.full_gain, float(self.left.sum()))
        if self.world.ages_only:
            self.left = self.left * 2.0 ** (-1.0 / self.world.half_life)
        else:
            self.left = wear(self.left, self.world.full_gain, self.world.half_life)
