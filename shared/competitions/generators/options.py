"""Wrong options that tell nothing: each category is offered about three times as often as it is right.

Were rare categories wrong more often than right, a guess by category would beat one in four. Whole numbers
only, so odds are the same on every platform.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from shared.competitions.generators.chance import Chance

OPTIONS = 4
"""Options of a question, the right one included."""
STEPS = 30
UNIT = 10**6


def balance_odds(questions: Sequence[tuple[str, Sequence[str]]]) -> Mapping[str, int]:
    """Odds of each category to be a wrong option, from (right category, categories that may be wrong)."""
    right = Counter(answer for answer, _ in questions)
    odds = dict.fromkeys(right, UNIT)
    for _ in range(STEPS):
        offered: Counter[str] = Counter()
        for _, others in questions:
            total = sum(odds[name] for name in others)
            offered.update({name: (OPTIONS - 1) * UNIT * odds[name] // total for name in others})
        changed = {
            name: max(1, odds[name] * (OPTIONS - 1) * UNIT * right[name] // max(1, offered[name]))
            for name in right
        }
        mean = sum(changed.values()) // len(changed)
        odds = {name: max(1, value * UNIT // mean) for name, value in changed.items()}
    return odds


def pick_wrong(chance: Chance, others: Sequence[str], odds: Mapping[str, int]) -> list[str]:
    """Different categories for the wrong options, by their odds."""
    left = list(others)
    found: list[str] = []
    while len(found) < OPTIONS - 1:
        ticket = chance.below(sum(odds[name] for name in left))
        for name in left:
            ticket -= odds[name]
            if ticket < 0:
                break
        left.remove(name)
        found.append(name)
    return found
