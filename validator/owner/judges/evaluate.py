"""What is special to measuring an owner's judges: pairs a judge never saw, and language models as judges.

`agon-validator judge evaluate` and the build call it; the agreement of a reward model with pairs is
`shared/judging/preferences/agreement.py`. It reads judges and pairs and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import AgonError
from shared.judging.pairwise import Comparison, PairwiseJudge, Preference
from shared.judging.preferences.agreement import (
    Estimate,
    mean_estimate,
    number_clusters,
    proportion,
)
from shared.judging.preferences.pairs import PairFile, PreferencePair, split_pairs
from validator.owner.judges.report import REPORT_FILE, TrainingReport


class PairwiseMeasures(BaseModel):
    """A language model as judge, on human pairs."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    pairs: int
    """Pairs with an answer in both orders."""
    unanswered: int
    """Pairs with anything else; they count nowhere."""
    accuracy: Estimate
    """Agreement with people; a tie counts as half."""
    ties: Estimate
    """Share of pairs on which the two orders disagree."""
    decided_accuracy: Estimate | None
    """Agreement on the pairs without a tie."""
    first_shown: Estimate
    """Share of single answers that name the completion shown first; 0.5 without a position bias."""
    length_accuracy: Estimate
    """Of the better rule that knows length alone, on the same pairs."""
    above_length: Estimate
    """Paired difference of the two accuracies."""


def unseen_pairs(directory: Path, source: PairFile) -> tuple[PreferencePair, ...]:
    """The pairs that the judge was not trained on: the held-out ones when this file trained it, else all.

    Raises AgonError `data_invalid` for a report beside the judge that cannot be read.
    """
    path = directory.resolve().parent / REPORT_FILE
    if not path.is_file():
        return source.pairs
    try:
        report = TrainingReport.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise AgonError("data_invalid", f"{path} is not the report of a training") from error
    if report.pairs_file != source.digest:
        return source.pairs
    return split_pairs(source.pairs, report.config.holdout, report.config.seed)[1]


def measure_pairwise(
    judge: PairwiseJudge, pairs: Sequence[PreferencePair], parallel: int = 4
) -> PairwiseMeasures:
    """A language model on `pairs`, asked in both orders, `parallel` pairs at a time.

    A pair that the model answers with anything but a letter is counted apart. Raises AgonError
    `judge_refused` or `judge_unclear` (no pair answered), TransientError `judge_unreachable`.
    """

    def ask(pair: PreferencePair) -> Comparison | AgonError:
        try:
            return judge.compare(pair.prompt, pair.chosen, pair.rejected)
        except AgonError as error:
            if error.code != "judge_unclear":
                raise
            return error

    with ThreadPoolExecutor(parallel) as pool:
        said = list(pool.map(ask, pairs))
    answered = [(pair, one) for pair, one in zip(pairs, said, strict=True) if isinstance(one, Comparison)]
    refusals = [one for one in said if isinstance(one, AgonError)]
    if refusals and not answered:
        raise refusals[0]
    return _pairwise(answered, len(refusals))


def _pairwise(answered: Sequence[tuple[PreferencePair, Comparison]], unanswered: int) -> PairwiseMeasures:
    clusters = number_clusters([pair.cluster for pair, _ in answered])
    values = {Preference.FIRST: 1.0, Preference.TIE: 0.5, Preference.SECOND: 0.0}
    hits = np.array([values[said.preference] for _, said in answered])
    tied = np.array([said.preference is Preference.TIE for _, said in answered])
    first = np.array(
        [
            ((said.forward is Preference.FIRST) + (said.backward is Preference.SECOND)) / 2
            for _, said in answered
        ]
    )
    sizes = np.array([(len(pair.chosen), len(pair.rejected)) for pair, _ in answered], float)
    shorter = (np.sign(sizes[:, 1] - sizes[:, 0]) + 1) / 2
    by_length = shorter if shorter.mean() >= 0.5 else 1 - shorter
    decided = np.unique(clusters[~tied], return_inverse=True)[1]
    return PairwiseMeasures(
        pairs=len(answered),
        unanswered=unanswered,
        accuracy=proportion(hits, clusters),
        ties=proportion(tied.astype(float), clusters),
        decided_accuracy=proportion(hits[~tied], decided) if len(set(decided)) > 1 else None,
        first_shown=proportion(first, clusters),
        length_accuracy=proportion(by_length, clusters),
        above_length=mean_estimate(hits - by_length, clusters),
    )
