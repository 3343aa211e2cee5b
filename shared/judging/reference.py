"""Reference statistics of a slice, from the base model's own completions.

An owner builds them once, before the competition's rules are final; their digest is then in the rules.
Pure: the completions and raw rewards are handed in (`shared/duels/scorer.py` gathers them).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from shared.errors import AgonError
from shared.judging.gates import nll_per_token
from shared.judging.score import CLUSTER_TABLE, aggregate, judge_z, length_term, standardise
from shared.protocol.competition import Judging
from shared.protocol.evidence import Completion
from shared.protocol.prompt import Prompt
from shared.protocol.reference import JudgeReference, LengthReference, Reference
from shared.types import SliceName

LENGTH_TAIL = 0.01
"""Share of reference completions beyond each end of the length range."""
LENGTH_GROUP = 8
"""Reference completions behind one point of a judge's length curve, the last point excepted."""
LEAST_SPREAD_TOKENS = 1.0
"""Floor of tau: lengths are whole tokens."""


def build_reference(
    name: SliceName,
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    raw: Mapping[str, Sequence[float]],
    coefficients: Mapping[str, float],
    judging: Judging,
) -> Reference:
    """Statistics of one slice; `prompts[i]` was answered by `completions[i]`, judged `raw[judge][i]`.

    `raw` and `coefficients` are empty on a verifier slice. `s_mean` is left at 0: it needs the finished
    reference. Raises AgonError `data_invalid` with fewer than two completions of a prompt, `judge_invalid`
    for a judge that does not tell completions apart.
    """
    lengths = measure_lengths(prompts, completions)
    judges = {
        judge: reference_of_judge(judge, rewards, prompts, completions, lengths)
        for judge, rewards in raw.items()
    }
    u = [
        aggregate(
            {
                judge: judge_z(
                    raw[judge][i], len(completion.token_ids), prompt.cluster, judges[judge], lengths
                )
                for judge in raw
            },
            coefficients,
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


def reference_of_judge(
    name: str,
    rewards: Sequence[float],
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    lengths: LengthReference,
) -> JudgeReference:
    """mu, sigma and the length curve of one judge."""
    middle = mean(rewards)
    sd = math.sqrt(mean([(reward - middle) ** 2 for reward in rewards]))
    if not (math.isfinite(sd) and sd > 0):
        raise AgonError("judge_invalid", f"judge {name} gives every reference completion the same reward")
    z = [standardise(reward, middle, sd) for reward in rewards]
    terms = [
        length_term(len(completion.token_ids), prompt.cluster, lengths)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    return JudgeReference(mean=middle, sd=sd, length_curve=length_curve(terms, z))


def length_curve(terms: Sequence[float], z: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """What a judge pays for length: the best never-falling fit of z on the length term, over small groups.

    Isotonic regression by pooling adjacent violators (Barlow et al. 1972). A straight line or a tanh leaves
    what a judge adds for the longest completions in the score, and padding up to there then wins duels.
    Empty when the judge does not prefer long completions on the whole: such a judge is left alone.
    """
    middle = mean(terms)
    if sum((term - middle) * value for term, value in zip(terms, z, strict=True)) <= 0:
        return ()
    groups = _length_groups(terms, z)
    levels = _pool_violators([(value, count) for _, value, count in groups])
    return tuple((x, level) for (x, _, _), level in zip(groups, levels, strict=True))


def _length_groups(terms: Sequence[float], z: Sequence[float]) -> list[tuple[float, float, int]]:
    """Mean term, mean z and size of groups of neighbours in length; equal lengths stay together."""
    order = sorted(range(len(terms)), key=terms.__getitem__)
    groups: list[list[int]] = [[]]
    for index in order:
        if len(groups[-1]) >= LENGTH_GROUP and terms[index] != terms[groups[-1][-1]]:
            groups.append([])
        groups[-1].append(index)
    return [(mean([terms[i] for i in group]), mean([z[i] for i in group]), len(group)) for group in groups]


def _pool_violators(values: Sequence[tuple[float, int]]) -> list[float]:
    """The never-falling sequence nearest to (value, weight) pairs in weighted squares."""
    pools: list[tuple[float, int, int]] = []  # level, weight, groups
    for value, weight in values:
        level, groups = value, 1
        size = weight
        while pools and pools[-1][0] >= level:
            before, more, joined = pools.pop()
            level = (before * more + level * size) / (more + size)
            size, groups = size + more, groups + joined
        pools.append((level, size, groups))
    return [level for level, _, groups in pools for _ in range(groups)]


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
