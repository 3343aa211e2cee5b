"""Coefficients of the judges of a set, from what each knows about human pairs that it never saw.

The build calls it when the owner brings pairs. They are in the rules, frozen for the life of the set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.errors import AgonError
from shared.judging.preferences.agreement import measure_agreement
from shared.judging.preferences.pairs import PairFile
from shared.types import JudgeName
from validator.owner.judges.evaluate import unseen_pairs

CHANCE = 0.5


def weigh_judges(judges: Mapping[JudgeName, Path], source: PairFile) -> dict[JudgeName, float]:
    """Accuracy above chance of every judge, on the pairs it was not trained on.

    Raises AgonError `judge_invalid` for a judge that is not proven better than length alone, with both
    accuracies; it has to be left out.
    """
    coefficients = {}
    for name, directory in judges.items():
        found = measure_agreement(directory, unseen_pairs(directory, source))
        if not found.useful:
            message = (
                f"judge {name} agrees with people on {found.accuracy} of {found.pairs} pairs, "
                f"`{found.length_rule} wins` on {found.length_accuracy}"
            )
            raise AgonError("judge_invalid", message, help="leave the judge out, or bring more pairs")
        coefficients[name] = round(found.accuracy.value - CHANCE, 4)
    return coefficients
