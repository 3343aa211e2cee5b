"""Which judges score a round: those whose term has begun, and never none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.duels.draw import completion_seed
from shared.duels.rows import Side, check_serving, evidence_row, fresh_difference, serving_judges
from shared.duels.scorer import Scorer
from shared.errors import AgonError
from shared.protocol.competition import Competition
from shared.protocol.evidence import Completion
from shared.protocol.loader import parse_competition, read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.reference import JudgeReference, LengthReference, Reference
from shared.protocol.wire import digest_of, sha256_digest
from shared.types import JudgeName, PromptId, RoundNumber, SliceName
from validator.context import ValidatorContext
from validator.stages.duel import scorer_of

CHAT = SliceName("chat")
PROMPT = Prompt(id=PromptId("p"), slice=CHAT, cluster="c", text="Why?")
REFERENCE = Reference(
    slice=CHAT,
    completions=100,
    judges={name: JudgeReference(mean=0.0, sd=1.0) for name in ("early", "late")},
    lengths=LengthReference(mean=10.0, within_sd=3.0, low=1, high=20),
    u_all=tuple((i - 49.5) / 25 for i in range(100)),
    nll_high=4.0,
    s_mean=0.5,
)


def rules(**starts: int) -> Competition:
    table = read_rules(Path(__file__).parents[1] / "rules.toml")
    judged = {**table["slices"][0], "name": CHAT, "kind": "judges", "reference": digest_of(REFERENCE)}
    terms = [{"name": name, "digest": sha256_digest(b""), "from_round": at} for name, at in starts.items()]
    return parse_competition({**table, "slices": [judged], "judges": terms}, source="rules")


class Named:
    """Judges that all give the same reward, and remember who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.asked.append(judge)
        return [0.5] * len(pairs)


def answer(text: str = "A fine answer.") -> Completion:
    return Completion(token_ids=(5,) * 10, text=text, finished=True, logprob=-10.0, base_logprob=-10.0)


def test_a_judge_serves_from_its_round_on() -> None:
    found = [
        [judge.name for judge in serving_judges(rules(early=0, late=3), RoundNumber(number))]
        for number in (0, 2, 3, 9)
    ]
    assert found == [["early"], ["early"], ["early", "late"], ["early", "late"]]


def test_rules_under_which_a_judged_round_has_no_judge_are_refused() -> None:
    check_serving(rules(early=0, late=3))
    with pytest.raises(AgonError, match="before round 2") as caught:
        check_serving(rules(early=2, late=3))
    assert caught.value.code == "competition_invalid"
    table = read_rules(Path(__file__).parents[1] / "rules.toml")
    check_serving(parse_competition(table, source="rules"))


def scored_in(number: int, competition: Competition, judges: Named) -> Any:
    whole = Scorer(competition, {CHAT: REFERENCE}, None, judges)
    bundle = SimpleNamespace(references={CHAT: REFERENCE})
    context = cast(ValidatorContext, SimpleNamespace(rules=competition, bundle=bundle, scorer=whole))
    return scorer_of(context, RoundNumber(number)).score([PROMPT], [answer()])[0]


def test_the_duel_stage_asks_only_the_judges_of_the_round() -> None:
    judges, competition = Named(), rules(early=0, late=3)
    before, after = (scored_in(number, competition, judges) for number in (2, 3))
    assert judges.asked == ["early", "early", "late"]
    assert (set(before.raw), set(after.raw)) == ({"early"}, {"early", "late"})
    alone = Scorer(competition, {CHAT: REFERENCE}, None, judges, terms=competition.judges[:1])
    assert alone.score([PROMPT], [answer()])[0] == before


def test_the_only_judge_in_force_is_the_freshest_with_its_gates() -> None:
    judges, competition = Named(), rules(early=0, late=3)
    sample = scored_in(0, competition, judges)
    side = Side(sha256_digest(b"model"), {PROMPT.id: (1,)}, {(sha256_digest(b"model"), PROMPT.id, 1): sample})
    row = evidence_row(PROMPT, 0, side, side)
    assert fresh_difference(row, competition, RoundNumber(0)) == row.d == 0.0


def test_no_completion_is_shared_between_rounds() -> None:
    """The cache is keyed by the sampler's seed, which comes from the round's: nothing is scored again."""
    seeds = {completion_seed(sha256_digest(bytes([number])), PROMPT.id, 0) for number in range(100)}
    assert len(seeds) == 100
