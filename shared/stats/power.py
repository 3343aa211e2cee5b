"""Power: which true improvements the rules of a competition find, and what they promise in words.

The API, `competition show` and the checks of a build ask it. Pure; simulated tables in docs hold it.
"""

from __future__ import annotations

import math

from shared.protocol.api import Provable
from shared.protocol.competition import SLICE_SD, Competition
from shared.stats.confirmation import GAIN_QUANTILE
from shared.stats.eprocess import alpha_share

POWER_QUANTILE = 0.8416
"""Standard normal quantile of the stated power, 0.8."""

MIXTURE_COST = 1.5
"""Nats that the mixture over 16 bets gives away against the best single bet: fitted to simulated power."""


def provable(rules: Competition) -> Provable:
    """Smallest true effects that the rules find with probability 0.8, for rows of assumed spread.

    With sd s and n prompts, the best bet's log wealth has mean E = n (d - margin)^2 / (2 s^2) and
    variance 2 E (normal approximation), and must reach -ln(alpha) plus the mixture's cost. Before that the
    futility process, of mean n (planning effect - d)^2 / (2 s^2), must stay below -ln(beta); so effects far
    below the planning effect are given up however many prompts there are.
    """
    duel, counts = rules.duel, rules.duel.prompts
    alpha = alpha_share(duel.alpha, 1, rules.schedule.slots, duel.horizon_rounds)
    target = MIXTURE_COST - math.log(alpha)
    z = POWER_QUANTILE
    root = (z * math.sqrt(2) + math.sqrt(2 * z * z + 4 * target)) / 2

    open_root = (math.sqrt(2 * z * z - 4 * math.log(duel.beta)) - z * math.sqrt(2)) / 2
    ratio = open_root / root
    not_futile = (duel.planning_effect + ratio * duel.margin) / (1 + ratio)

    def smallest(prompts: int) -> float:
        return max(not_futile, duel.margin + SLICE_SD * root * math.sqrt(2 / prompts))

    confirmed = duel.margin + (GAIN_QUANTILE + z) * SLICE_SD / math.sqrt(counts.gain)
    return Provable(
        alpha=alpha,
        slots=rules.schedule.slots,
        assumed_sd=SLICE_SD,
        one_round=smallest(counts.max),
        with_carries=smallest(counts.max * (1 + counts.carried_rounds)),
        confirmed=confirmed,
    )


def guarantee(rules: Competition) -> str:
    """What the decision rule promises, with the competition's numbers."""
    alpha, rounds = rules.duel.alpha, rules.duel.horizon_rounds
    return (
        f"expected wrong crowns are at most {alpha:g} in the first {rounds} rounds of a reign and"
        f" about {alpha / 2:g} in any later {rounds}, whatever the number of hotkeys; each gain exceeds the"
        " truth with probability at most 10%; all of it on this pool"
    )
