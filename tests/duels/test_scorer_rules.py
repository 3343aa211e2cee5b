"""The scorer goes by the version of its rules: what old evidence says stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest

from shared.competitions.pools import DEMO_PROMPTS
from shared.duels.scorer import Scorer
from shared.protocol.competition import Competition
from shared.protocol.evidence import Completion
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.reference import LengthReference, Reference
from shared.protocol.wire import digest_of, sha256_digest
from shared.types import JudgeName, PromptId, SliceName

DEMO = DEMO_PROMPTS.with_name("demo.toml")
SUMS = SliceName("sums")
ANY = sha256_digest(b"any")


class NoJudges:
    """Nobody asks them on a verifier's slice."""

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        raise AssertionError(judge)


def rules(reference: Reference, version: Literal[1, 2]) -> Competition:
    document = read_rules(DEMO)
    document["base"], document["architecture"]["table"] = {"digest": ANY}, ANY
    pool = {"root": ANY, "size": 600, "clusters": 60}
    [first, *_] = document["slices"]
    part = {
        **first,
        "name": SUMS,
        "kind": "verifier:exact-answer-3",
        "pool": pool,
        "reference": digest_of(reference),
    }
    document |= {"slices": [part], "rules_version": version, "judges": []}
    return Competition.model_validate(document)


@pytest.mark.parametrize(("version", "s", "gates"), [(1, 0.0, ("length", "loop")), (2, 1.0, ())])
def test_a_short_right_number_scores_from_the_second_version_on(
    version: Literal[1, 2], s: float, gates: tuple[str, ...]
) -> None:
    reference = Reference(
        slice=SUMS,
        completions=100,
        judges={},
        lengths=LengthReference(mean=10.0, within_sd=3.0, low=4, high=20, cluster_means={"c": 10.0}),
        u_all=(),
        u_clusters={},
        nll_high=4.0,
        s_mean=0.1,
    )
    scorer = Scorer(rules(reference, version), {SUMS: reference}, None, NoJudges())
    prompt = Prompt(
        id=PromptId("p"), slice=SUMS, cluster="c", text="9e8 / 9?", params={"answer": "100000000"}
    )
    completion = Completion(
        token_ids=(1, 2), text="It is 100000000.", finished=True, logprob=-2.0, base_logprob=-2.0
    )
    [sample] = scorer.score([prompt], [completion])
    assert (sample.s, sample.gates) == (s, gates)
