"""Reference statistics of a slice, from the base model's own completions.

An owner builds them once, before the competition's rules are final; their digest is then in the rules.
Pure: the completions and raw rewards are handed in (`shared/scoring.py` gathers them).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from shared.errors import AgonError
from shared.judging.ensemble import CLUSTER_TABLE, aggregate, judge_z, length_term, standardise
from shared.judging.gates import nll_per_token
from shared.models.competition import Judging
from shared.models.evidence import Completion
from shared.models.prompt import Prompt
from shared.models.reference import JudgeReference, LengthReference, Reference
from shared.types import SliceName

LENGTH_TAIL = 0.01
"""Share of reference completions beyond each end of the length range."""
LEAST_SPREAD_TOKENS = 1.0
"""Floor of tau: lengths are whole tokens."""


def build_reference(
    name: SliceName,
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    raw: Mapping[str, Sequence[float]],
    weights: Mapping[str, float],
    judging: Judging,
) -> Reference:
    """Statistics of one slice; `prompts[i]` was answered by `completions[i]`, judged `raw[judge][i]`.

    `raw` and `weights` are empty on a verifier slice. `s_mean` is left at 0: it needs the finished
    reference. Raises AgonError `data_invalid` with fewer than two completions of a prompt, `judge_invalid`
    for a judge that does not tell completions apart.
    """
    lengths = measure_lengths(prompts, completions)
    judges = {
        judge: measure_judge(judge, rewards, prompts, completions, lengths) for judge, rewards in raw.items()
    }
    u = [
        aggregate(
            {
                judge: judge_z(
                    raw[judge][i], len(completion.token_ids), prompt.cluster, judges[judge], lengths
                )
                for judge in raw
            },
            weights,
            judging.disagreement_penalty,
        )
        for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
        if raw
    ]
    return Reference(
        slice=name,
        completions=len(completions),
        judges=judges,
        lengths=lengths,
        u_all=tuple(sorted(u)),
        u_clusters=cluster_tables(prompts, u) if u else {},
        nll_high=quantile([nll_per_token(completion) for completion in completions], judging.nll_quantile),
        s_mean=0.0,
    )


def measure_lengths(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> LengthReference:
    """Mean, within-prompt sd, range and cluster means of the completions' lengths in tokens."""
    by_prompt: dict[str, list[int]] = defaultdict(list)
    by_cluster: dict[str, list[int]] = defaultdict(list)
    for prompt, completion in zip(prompts, completions, strict=True):
        by_prompt[prompt.id].append(len(completion.token_ids))
        by_cluster[prompt.cluster].append(len(completion.token_ids))
    if not by_prompt or min(map(len, by_prompt.values())) < 2:
        raise AgonError("data_invalid", "a reference needs at least two completions of every prompt")
    tokens = [length for lengths in by_prompt.values() for length in lengths]
    return LengthReference(
        mean=mean(tokens),
        within_sd=max(LEAST_SPREAD_TOKENS, within_sd(list(by_prompt.values()))),
        low=quantile(tokens, LENGTH_TAIL),
        high=quantile(tokens, 1 - LENGTH_TAIL),
        cluster_means={name: mean(lengths) for name, lengths in sorted(by_cluster.items())},
    )


def within_sd(groups: Sequence[Sequence[float]]) -> float:
    """Pooled standard deviation inside groups: sqrt(sum of squares about group means / (n - groups))."""
    squares = sum((value - mean(group)) ** 2 for group in groups for value in group)
    return math.sqrt(squares / (sum(map(len, groups)) - len(groups)))


def measure_judge(
    name: str,
    rewards: Sequence[float],
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    lengths: LengthReference,
) -> JudgeReference:
    """mu, sigma and the length slope of one judge."""
    middle = mean(rewards)
    sd = math.sqrt(mean([(reward - middle) ** 2 for reward in rewards]))
    if not (math.isfinite(sd) and sd > 0):
        raise AgonError("judge_invalid", f"judge {name} gives every reference completion the same reward")
    z = [standardise(reward, middle, sd) for reward in rewards]
    terms = [
        length_term(len(completion.token_ids), prompt.cluster, lengths)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    return JudgeReference(mean=middle, sd=sd, length_slope=length_slope(terms, z))


def length_slope(terms: Sequence[float], z: Sequence[float]) -> float:
    """b: least-squares slope of z on the length term, with intercept, clipped to zero or more."""
    middle_t, middle_z = mean(terms), mean(z)
    spread = sum((term - middle_t) ** 2 for term in terms)
    if spread == 0:
        return 0.0
    shared = sum((term - middle_t) * (value - middle_z) for term, value in zip(terms, z, strict=True))
    return max(0.0, shared / spread)


def cluster_tables(prompts: Sequence[Prompt], u: Sequence[float]) -> dict[str, tuple[float, ...]]:
    """Sorted ensemble scores of every cluster that has enough for a table of its own."""
    tables: dict[str, list[float]] = defaultdict(list)
    for prompt, value in zip(prompts, u, strict=True):
        tables[prompt.cluster].append(value)
    return {
        name: tuple(sorted(values)) for name, values in sorted(tables.items()) if len(values) >= CLUSTER_TABLE
    }


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, summed exactly."""
    return math.fsum(values) / len(values)


def quantile(values: Sequence[float], share: float) -> float:
    """Linear-interpolation quantile (type 7 of Hyndman and Fan 1996)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
