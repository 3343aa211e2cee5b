"""The scorer over real children: build a reference, freeze rules, score the base and another policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.duels.draw import completion_seed
from shared.duels.scorer import Job, Scorer, measure_reference
from shared.errors import AgonError
from shared.protocol.competition import (
    Architecture,
    Base,
    CheckpointLimits,
    Competition,
    DuelRules,
    JudgeTerm,
    Judging,
    Payout,
    Pool,
    PromptCounts,
    Sampling,
    Schedule,
    Slice,
)
from shared.protocol.prompt import Prompt
from shared.protocol.reference import Reference
from shared.protocol.wire import digest_of, sha256_digest
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.types import JudgeName, PromptId, RoundNumber, SliceName

pytestmark = pytest.mark.torch

ANY = sha256_digest(b"any")
MINI = JudgeName("mini")
KINDS = {SliceName("chat"): "judges", SliceName("words"): "verifier:word-limit-1"}
JUDGING = Judging(
    disagreement_penalty=0.3, gated_percentile=0.05, nll_quantile=0.99, kl_budget=30, judge_set_rounds=2
)


def prompts(name: SliceName, count: int) -> list[Prompt]:
    return [
        Prompt(
            id=PromptId(f"{name}-{i}"), slice=name, cluster=f"c{i % 3}", text=f"Why {i}?", params={"words": 9}
        )
        for i in range(count)
    ]


def rules(sampling: Sampling, references: dict[SliceName, Reference]) -> Competition:
    counts = PromptCounts(look=2, min=2, max=4, carried_rounds=1, gain=4, identity=2)
    return Competition(
        name="tiny",
        schedule=Schedule(start_block=0, round_blocks=10, fetch_blocks=2, grace_blocks=1, slots=1),
        base=Base(digest=ANY),
        architecture=Architecture(
            family="LlamaForCausalLM",
            dtypes=("float32",),
            table=ANY,
            limits=CheckpointLimits(bytes=10**6, files=2, max_abs=100, norm_ratio=4),
        ),
        sampling=sampling,
        slices=tuple(
            Slice(
                name=name,
                kind=kind,
                weight=1,
                pool=Pool(root=ANY, size=10, clusters=3),
                reference=digest_of(references[name]),
            )
            for name, kind in KINDS.items()
        ),
        judges=(JudgeTerm(name=MINI, digest=ANY, from_round=RoundNumber(0)),),
        judging=JUDGING,
        duel=DuelRules(
            alpha=0.05,
            beta=0.05,
            horizon_rounds=10,
            margin=0.01,
            planning_effect=0.1,
            prompts=counts,
            slice_tolerance=0.2,
        ),
        payout=Payout(full_gain=0.1, half_life_rounds=5, rebase_at=0.75),
    )


def test_the_scorer_scores_a_policy_alike_twice(
    base_dir: Path, other_dir: Path, judge_dir: Path, sampling: Sampling
) -> None:
    with SamplerChild(base_dir, sampling) as sampler, JudgeChild({MINI: judge_dir}) as judges:
        references = {
            name: measure_reference(
                base_dir,
                sampler,
                judges,
                coefficients={MINI: 1.0},
                judging=JUDGING,
                name=name,
                kind=kind,
                prompts=prompts(name, 12),
                per_prompt=2,
                seed=ANY,
            )
            for name, kind in KINDS.items()
        }
        competition = rules(sampling, references)
        scorer = Scorer(competition, references, sampler, judges)
        asked = [prompt for name in KINDS for prompt in prompts(name, 5)]
        jobs = [Job(prompt, completion_seed(ANY, prompt.id, 0)) for prompt in asked]
        base, other = scorer.evaluate(base_dir, jobs), scorer.evaluate(other_dir, jobs)
        assert scorer.evaluate(other_dir, jobs) == other
        assert scorer.score(asked, [sample.completion for sample in other]) == other
        assert [sample.completion.token_ids for sample in base] != [
            sample.completion.token_ids for sample in other
        ]
        assert [set(sample.raw) for sample in other] == [{MINI}] * 5 + [set()] * 5
        with pytest.raises(AgonError, match="bundle_damaged"):
            Scorer(
                competition,
                {**references, SliceName("chat"): references[SliceName("words")]},
                sampler,
                judges,
            )
