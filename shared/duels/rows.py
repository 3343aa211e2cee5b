"""From scored completions to the rows of a duel, on which it is decided.

The validator's scoring and the miner's dry run both build their rows here, so the two can never
disagree about what a row is. Nothing here samples, decides or stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import ndtr

from shared.duels.draw import completion_seed
from shared.errors import AgonError
from shared.protocol.competition import Competition, JudgeTerm
from shared.protocol.evidence import EvidenceRow, ScoredCompletion
from shared.protocol.prompt import Prompt
from shared.stats.rows import Row
from shared.types import Digest, JudgeName, PromptId, RoundNumber

Seeds = dict[PromptId, tuple[int, ...]]
"""Sampler seeds of each prompt, one per completion."""

CompletionKey = tuple[str, PromptId, int]
"""Model digest, prompt and seed: the name of a scored completion."""


@dataclass(frozen=True)
class Side:
    """One side of a duel: its checkpoint, its seeds, and its scored completions by (model, prompt, seed)."""

    model: Digest
    seeds: Seeds
    scored: Mapping[CompletionKey, ScoredCompletion]

    def completions_of(self, prompt: PromptId) -> tuple[ScoredCompletion, ...]:
        """Scored completions of one prompt, in the order of the seeds."""
        return tuple(self.scored[self.model, prompt, seed] for seed in self.seeds[prompt])


def seeds_of(rules: Competition, seed: Digest, prompts: Sequence[Prompt]) -> tuple[Seeds, Seeds]:
    """Challenger's and champion's seeds: completion j of a prompt has the same seed on both sides."""
    counts = rules.sampling.samples

    def seeds(count: int) -> Seeds:
        return {
            prompt.id: tuple(completion_seed(seed, prompt.id, index) for index in range(count))
            for prompt in prompts
        }

    return seeds(counts.challenger), seeds(counts.champion)


def evidence_row(prompt: Prompt, position: int, challenger: Side, champion: Side) -> EvidenceRow:
    """The evidence on one prompt, both sides."""
    return EvidenceRow(
        position=position,
        prompt=prompt.id,
        slice=prompt.slice,
        challenger=challenger.completions_of(prompt.id),
        champion=champion.completions_of(prompt.id),
        challenger_seeds=challenger.seeds[prompt.id],
        champion_seeds=champion.seeds[prompt.id],
        challenger_model=challenger.model,
        champion_model=champion.model,
    )


def statistic(row: EvidenceRow, d_fresh: float | None) -> Row:
    """What of a row decides; `d_fresh` is its `fresh_difference`."""
    return Row.of(row, d_fresh=d_fresh)


def serving_judges(rules: Competition, number: RoundNumber) -> tuple[JudgeTerm, ...]:
    """The judges that score in a round: those whose term has begun."""
    return tuple(judge for judge in rules.judges if judge.from_round <= number)


def check_serving(rules: Competition) -> None:
    """Raises AgonError `competition_invalid` unless judged slices have a judge from the first round on."""
    judged = [part.name for part in rules.slices if part.kind == "judges"]
    if judged and not serving_judges(rules, RoundNumber(0)):
        first = min(judge.from_round for judge in rules.judges)
        raise AgonError(
            "competition_invalid",
            f"no judge scores slice {judged[0]} before round {first}",
            help="let one judge have `from_round = 0`",
        )


def freshest_judge(rules: Competition, number: RoundNumber) -> JudgeName | None:
    """The judge in force whose term began last; none where no judge serves the round."""
    serving = serving_judges(rules, number)
    return max(serving, key=lambda judge: judge.from_round).name if serving else None


def fresh_difference(row: EvidenceRow, rules: Competition, number: RoundNumber) -> float | None:
    """d under the freshest judge alone, as a difference of mean Phi(z); none on verifier slices.

    With a single judge in force this is d itself, gates included.
    """
    kind = next(part.kind for part in rules.slices if part.name == row.slice)
    judge = freshest_judge(rules, number)
    if kind != "judges" or judge is None:
        return None
    if len(serving_judges(rules, number)) == 1:
        return row.d
    return _mean_percentile(row.challenger, judge) - _mean_percentile(row.champion, judge)


def _mean_percentile(scored: Sequence[ScoredCompletion], judge: JudgeName) -> float:
    return sum(float(ndtr(one.z[judge])) for one in scored) / len(scored)
