"""The scorer: every term is visible, gates cap, and nothing unproven slips into a score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from shared.duels.scorer import Scale, measure_reference, score_completion
from shared.engines.engine import CompletionJob
from shared.errors import AgonError
from shared.protocol.competition import Judging
from shared.protocol.evidence import Completion, ScoredCompletion
from shared.protocol.prompt import Prompt
from shared.protocol.reference import Reference
from shared.types import Digest, JudgeName, PromptId, SliceName

Reply = Callable[..., Completion]
A = JudgeName("a")
JUDGING = Judging(
    disagreement_penalty=0.3, gated_percentile=0.05, nll_quantile=0.99, kl_budget=30, judge_set_rounds=2
)
PROMPT = Prompt(id=PromptId("p"), slice=SliceName("chat"), cluster="c", text="Why?", params={"words": 6})


def test_every_term_of_a_judged_score_is_in_the_document(reply: Reply, reference: Reference) -> None:
    completion = reply(tokens=10)
    sample = score_completion(PROMPT, completion, {A: 0.5}, Scale("judges", reference, {A: 1.0}, JUDGING))
    assert sample == ScoredCompletion(
        completion=completion, gates=(), raw={"a": 0.5}, z={"a": 0.5}, u=0.5, s=0.625
    )


def test_length_is_taken_off_before_the_rank(reply: Reply, reference: Reference) -> None:
    sample = score_completion(
        PROMPT, reply(tokens=13), {A: 0.5}, Scale("judges", reference, {A: 1.0}, JUDGING)
    )
    assert sample.u == pytest.approx(0.5 - 0.25)


@pytest.mark.parametrize(("reward", "s"), [(9.0, 0.05), (-1.9, 0.02), (-9.0, 0.0)])
def test_a_gated_completion_is_capped_and_never_lifted(
    reply: Reply, reference: Reference, reward: float, s: float
) -> None:
    scale = Scale("judges", reference, {A: 1.0}, JUDGING)
    sample = score_completion(PROMPT, reply(finished=False), {A: reward}, scale)
    assert sample.gates == ("unfinished",)
    assert sample.s == pytest.approx(s, abs=0.011)
    assert sample.s <= JUDGING.gated_percentile


@pytest.mark.parametrize(("finished", "s"), [(True, 1.0), (False, 0.0)])
def test_a_gated_completion_earns_nothing_on_a_verifier_slice(
    reply: Reply, reference: Reference, finished: bool, s: float
) -> None:
    completion = reply("one two three four", finished=finished)
    sample = score_completion(PROMPT, completion, {}, Scale("verifier:word-limit-1", reference, {}, JUDGING))
    assert (sample.s, sample.u, sample.raw) == (s, None, {})


@pytest.mark.parametrize(("rules_version", "s"), [(1, 0.0), (2, 1.0)])
def test_a_right_answer_is_not_lost_to_a_gate_that_its_verifier_does_not_name(
    reply: Reply, reference: Reference, rules_version: int, s: float
) -> None:
    third = PROMPT.model_copy(update={"params": {"answer": "0.33333333"}})
    scale = Scale("verifier:exact-answer-3", reference, {}, JUDGING, rules_version)
    sample = score_completion(third, reply("1/3 is 0.33333333", tokens=3, nll=9.0), {}, scale)
    assert sample.s == s
    assert sample.gates == (("length", "loop", "nll") if rules_version == 1 else ())


def test_an_unknown_verifier_is_the_competitions_fault(reply: Reply, reference: Reference) -> None:
    with pytest.raises(AgonError) as caught:
        score_completion(PROMPT, reply(), {}, Scale("verifier:no-such-1", reference, {}, JUDGING))
    assert caught.value.code == "competition_invalid"


def test_a_reward_that_is_not_finite_never_becomes_a_score(reply: Reply, reference: Reference) -> None:
    with pytest.raises(AgonError) as caught:
        score_completion(PROMPT, reply(), {A: math.nan}, Scale("judges", reference, {A: 1.0}, JUDGING))
    assert caught.value.code == "judge_non_finite"


@pytest.mark.parametrize("raw", [{}, {JudgeName("other"): 1.0}])
def test_a_judge_without_reference_is_a_damaged_bundle(
    reply: Reply, reference: Reference, raw: dict[JudgeName, float]
) -> None:
    with pytest.raises(AgonError) as caught:
        score_completion(PROMPT, reply(), raw, Scale("judges", reference, {A: 1.0}, JUDGING))
    assert caught.value.code == "bundle_damaged"


class Parrot:
    """A sampler whose answer's length and likelihood follow from the seed."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.seeds: list[int] = []

    def complete(self, checkpoint: Path, jobs: Sequence[CompletionJob]) -> list[Completion]:
        self.seeds = [job.seed for job in jobs]
        return [
            self.reply(f"Answer {job.seed}.", tokens=5 + job.seed % 9, nll=1 + job.seed % 3) for job in jobs
        ]


class LengthJudge:
    """A judge that pays for text and for nothing else."""

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(sum(map(ord, answer)) % 101) for _, answer in pairs]


@pytest.mark.parametrize(
    ("kind", "coefficients"), [("judges", {A: 1.0}), ("verifier:word-limit-1", {A: 1.0})]
)
def test_a_measured_reference_scores_its_own_base(
    reply: Reply, tmp_path: Path, kind: str, coefficients: dict[JudgeName, float]
) -> None:
    prompts = [PROMPT.model_copy(update={"id": PromptId(f"p{i}")}) for i in range(40)]
    sampler = Parrot(reply)
    reference = measure_reference(
        tmp_path,
        sampler,
        LengthJudge(),
        coefficients=coefficients,
        judging=JUDGING,
        name=SliceName("chat"),
        kind=kind,
        prompts=prompts,
        per_prompt=3,
        seed=Digest("sha256:" + "ab" * 32),
    )
    assert reference.completions == 120 == len(set(sampler.seeds))
    assert set(reference.judges) == ({"a"} if kind == "judges" else set())
    assert len(reference.u_all) == (120 if kind == "judges" else 0)
    if kind == "judges":
        assert reference.s_mean == pytest.approx(0.5, abs=0.02)
    else:
        assert reference.s_mean == 0.0  # "Answer 5." has two words, which is too few
