"""One champion's reign under attack: queue, slots, cooldowns and shares of alpha, round by round.

The rules of the queue and the alpha schedule are those of `shared.stats`; how a duel ends is asked of the
caller. `reigns.py` and `crowd.py` print what comes of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.sim.quick import Ending
from benchmarks.sim.simulation import Generator
from shared.stats.duel import Terms
from shared.stats.eprocess import alpha_share
from shared.stats.queue import Candidate, finished_cooldown, free_after, slots, withheld_cooldown
from shared.types import BlockNumber, Hotkey, RoundNumber

ALPHA, HORIZON = 0.05, 100
HONEST = Hotkey("honest")


@dataclass(frozen=True)
class Attack:
    """Hotkeys that throw worthless policies at one champion, again and again."""

    name: str
    hotkeys: int
    published: float = 1.0
    """Part of the commitments whose files appear."""
    renewed: bool = False
    """Whether a hotkey that must rest is replaced by a new one at once."""


ATTACKS = (
    Attack("one copy, resubmitted", 1),
    Attack("10 hotkeys, resubmitting", 10),
    Attack("100 hotkeys, resubmitting", 100),
    Attack("100 hotkeys, nine of ten withheld", 100, published=0.1),
    Attack("100 hotkeys, renewed instead of resting", 100, renewed=True),
)


@dataclass
class Miner:
    """A hotkey as the queue sees it."""

    hotkey: Hotkey
    commit_block: int = 0
    free_at: int = 0
    busy_until: int = -1
    finished: int = 0
    withheld: int = 0


@dataclass(frozen=True)
class Trial:
    """One slot of a reign."""

    round: int
    hotkey: Hotkey
    alpha: float
    ending: Ending | None
    """None when its files were withheld."""


def reign(
    attack: Attack,
    rounds: int,
    limit: int,
    budget: float,
    *,
    rng: Generator,
    end: Callable[[float, Hotkey], Ending],
    terms: Terms,
    honest_at: int | None = None,
) -> list[Trial]:
    """The slots of one reign until a crown, with at most `limit` a round.

    `end` plays a duel at its alpha. With `honest_at` one more hotkey commits in that round.
    """
    miners = [Miner(Hotkey(f"miner-{index}")) for index in range(attack.hotkeys)]
    if honest_at is not None:
        miners.append(Miner(HONEST, commit_block=honest_at, free_at=honest_at))
    trials: list[Trial] = []
    crowned, t = rounds, 0
    for number in range(rounds):
        if crowned < number:
            break
        waiting = [miner for miner in miners if miner.busy_until < number]
        chosen = _slots(waiting, number, limit)
        t += bool(chosen)
        for miner in chosen:
            alpha = alpha_share(budget, t, len(chosen), HORIZON)
            shown = miner.hotkey == HONEST or rng.random() < attack.published
            ending = end(alpha, miner.hotkey) if shown else None
            trials.append(Trial(number, miner.hotkey, alpha, ending))
            last = number + (0 if ending is None else (ending.test - 1) // terms.max)
            _rest(miner, last, withheld=ending is None, renewed=attack.renewed)
            if ending is not None and ending.crowned:
                crowned = min(crowned, last)
    return trials


def _slots(waiting: Sequence[Miner], number: int, limit: int) -> list[Miner]:
    seed = hashlib.sha256(str(number).encode()).digest()
    by_name = {miner.hotkey: miner for miner in waiting}
    candidates = [
        Candidate(miner.hotkey, BlockNumber(miner.commit_block), RoundNumber(miner.free_at))
        for miner in waiting
    ]
    return [by_name[place.hotkey] for place in slots(candidates, RoundNumber(number), seed, limit)]


def _rest(miner: Miner, last: int, *, withheld: bool, renewed: bool) -> None:
    """What the end of a slot does to a hotkey: it commits again at once, and waits out its cooldown."""
    miner.busy_until, miner.commit_block = last, last + 1
    if renewed:
        return
    if withheld:
        miner.withheld += 1
        rest = withheld_cooldown(miner.withheld)
    else:
        miner.finished += 1
        rest = finished_cooldown(miner.finished)
    miner.free_at = free_after(RoundNumber(last), rest)
