"""The reward-hacking alarm in the feed: measured on the duel's own rows, sealed as long as its verdict."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.judging.proxy_gap import measure_gap, rises
from shared.protocol.evidence import Completion, EvidenceRow, ScoredCompletion
from shared.types import JudgeName, PromptId, SliceName
from validator.api.views import view_event
from validator.ledger.tables import EventRow
from validator.stages.gap import PROXY, gap_over

MODEL = "sha256:" + "0a" * 32
GAP = {"proxy_rise": 1.5, "held_out_rise": -0.25, "gap": 1.75, "gap_lower": 1.25, "alarm": True}


class LongerIsBetter:
    """A judge of one idea: the reward is the number of letters."""

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        assert judge == PROXY
        return [float(len(text)) for _, text in pairs]


def sample(text: str, u: float) -> ScoredCompletion:
    completion = Completion(token_ids=(1, 2), text=text, finished=True, logprob=-1.0, base_logprob=-1.0)
    return ScoredCompletion(completion=completion, u=u, s=0.5)


def row(position: int, ours: list[ScoredCompletion], theirs: list[ScoredCompletion]) -> EvidenceRow:
    return EvidenceRow(
        position=position,
        prompt=PromptId(f"p{position}"),
        slice=SliceName("chat"),
        challenger=tuple(ours),
        champion=tuple(theirs),
        challenger_seeds=tuple(range(len(ours))),
        champion_seeds=tuple(range(len(theirs))),
        challenger_model=MODEL,
        champion_model=MODEL,
    )


def test_every_sample_is_measured_on_its_own_side():
    rows = [
        row(0, [sample("aaaaaa", 0.5)], [sample("a", 1.0), sample("aaa", 2.0)]),
        row(1, [sample("aaaa", 1.0)], [sample("aa", 0.0), sample("aa", 1.0)]),
    ]
    texts = {PromptId("p0"): "Why?", PromptId("p1"): "How?"}
    proxy = rises([[6.0], [4.0]], [[1.0, 3.0], [2.0, 2.0]])
    held_out = rises([[0.5], [1.0]], [[1.0, 2.0], [0.0, 1.0]])
    assert gap_over(rows, texts, LongerIsBetter()) == measure_gap(proxy, held_out)
    assert gap_over(rows, texts, LongerIsBetter()).gap > 0


def event(kind: str) -> EventRow:
    return EventRow(id=7, kind=kind, body={"duel": "d1", "hotkey": "Ann", **GAP}, created_block=90)


def test_an_open_gap_is_told_whole():
    assert view_event(event("verdict.gap"), {}).body == {"duel": "d1", "hotkey": "Ann", **GAP}


@pytest.mark.parametrize("name", GAP)
def test_a_gap_is_sealed_with_its_verdict(name: str) -> None:
    sealed = view_event(event("verdict.gap"), {"d1": 120})
    assert (sealed.kind, name in sealed.body) == ("verdict.sealed", False)
