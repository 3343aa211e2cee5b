"""Explanations: every state and every verdict has its own words, and stated power is real power."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from fastapi.testclient import TestClient

from shared.errors import Fault
from shared.protocol.api import DuelSummary, ErrorBody, SubmissionPage
from shared.protocol.competition import SLICE_SD, Competition
from shared.protocol.verdict import Reason, Verdict
from shared.stats.eprocess import log_wealth_path
from shared.stats.power import provable
from validator.api.explain import Case, explain, explain_verdict, needed_to_win, text_of

ZERO = "sha256:" + "00" * 32


def verdict(reason: Reason) -> Verdict:
    outcome = "won" if reason == "confirmed" else "lost" if reason == "worse" else "unproven"
    numbers = {"prompts": 64, "mean": 0.01, "lower": -0.02, "upper": 0.04, "win_rate": 0.5, "alpha": 0.01}
    more = {"log_wealth": 0.5, "kl": 40.0, "extra_tokens": 3.0, "gain_bound": 0.004}
    slices = [{"name": "words", "prompts": 16, "mean": -0.2, "lower": -0.3}]
    return Verdict.model_validate({"outcome": outcome, "reason": reason, "slices": slices, **numbers, **more})


def running(**changes: object) -> DuelSummary:
    plain = {"id": "d", "hotkey": "Ann", "commit_block": 1, "challenger": ZERO, "champion": ZERO, "round": 0}
    more = {"state": "open", "prompts": 48, "alpha": 0.01, "threshold": 4.6, "opens_at_block": None}
    return DuelSummary.model_validate({**plain, **more, "verdict": None, **changes})


def test_every_verdict_has_its_own_sentence(rules: Competition) -> None:
    sentences = {explain_verdict(verdict(reason), rules, crowned=False) for reason in get_args(Reason)}
    assert len(sentences) == len(get_args(Reason))
    assert all("mean difference +0.010, 99% interval [-0.020, +0.040], 64 prompts" in it for it in sentences)


def test_only_a_win_needs_nothing_more(rules: Competition) -> None:
    needs = {reason: needed_to_win(verdict(reason), rules) for reason in get_args(Reason)}
    assert [reason for reason, need in needs.items() if need is None] == ["confirmed"]
    assert needed_to_win(None, rules) is None
    assert needs["kl_budget"] == "a KL to the base of at most 30 nats per completion"
    assert needs["slice_worse"] == "every slice's lower bound at or above -0.150 on fresh prompts"


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        pytest.param(
            Case("slotted", round=3, rank=0),
            "holds slot 1 of round 3: its files are fetched and checked first",
            id="slotted",
        ),
        pytest.param(
            Case(
                "slotted",
                round=3,
                rank=1,
                problem=ErrorBody(code="x", message="no answer", help="", fault=Fault.NETWORK),
            ),
            "holds slot 2 of round 3: its files are fetched and checked first; no answer, tried again",
            id="slotted and postponed",
        ),
        pytest.param(
            Case("admitted"), "passed every check; its duel starts with the duels of its round", id="admitted"
        ),
        pytest.param(
            Case("expired"),
            "left the queue before it got a slot: the hotkey committed again or left the subnet",
            id="expired",
        ),
        pytest.param(
            Case("waiting", queue_position=9),
            "waits for a slot: position 9 in the queue, 4 slots a round, so at the earliest after 2 more"
            " round(s); a hotkey that rests after a duel is passed over",
            id="waiting long",
        ),
        pytest.param(
            Case("dueling", duel=running()), "duels the champion, 48 prompts so far", id="dueling in the open"
        ),
        pytest.param(
            Case("dueling", duel=running(state="carried")),
            "undecided after 48 prompts: carried into the next round with its evidence",
            id="carried",
        ),
        pytest.param(
            Case("dueling", duel=running(state="ended")),
            "its duel ended without a verdict after 48 prompts: the champion changed",
            id="champion changed",
        ),
        pytest.param(
            Case(
                "withheld",
                problem=ErrorBody(code="withheld", message="no manifest", help="", fault=Fault.MINER),
            ),
            "withheld: no manifest",
            id="withheld",
        ),
    ],
)
def test_every_state_is_put_in_words(case: Case, sentence: str, rules: Competition) -> None:
    assert explain(case, rules) == sentence


def test_win_without_crown_says_who_goes_first(rules: Competition) -> None:
    assert explain_verdict(verdict("confirmed"), rules, crowned=False).startswith(
        "won and not crowned: a winner of earlier priority goes first"
    )


def test_provable_effect_is_found_about_as_often_as_stated(rules: Competition) -> None:
    """Simulated power at the stated effect is near 0.8, on normal rows of the assumed spread."""
    found = provable(rules)
    rng = np.random.default_rng(7)
    counts = rules.duel.prompts
    ends = range(counts.min, counts.max + 1, counts.look)
    crossed = 0
    for _ in range(400):
        d = np.clip(rng.normal(found.one_round, SLICE_SD, counts.max), -1, 1)
        crossed += bool((log_wealth_path(d, rules.duel.margin, ends) >= -np.log(found.alpha)).any())
    assert 0.7 <= crossed / 400 <= 0.9


def test_provable_effect_is_not_given_up_as_futile_more_often_than_stated(rules: Competition) -> None:
    """With very many prompts futility sets the limit: power at the stated effect is near 0.8 all the same."""
    prompts = rules.duel.prompts.model_copy(update={"max": 12288, "look": 64, "min": 128})
    longer = rules.model_copy(update={"duel": rules.duel.model_copy(update={"prompts": prompts})})
    found = provable(longer)
    assert found.one_round == found.with_carries
    rng, ends, crossed = np.random.default_rng(8), range(64, 12289, 64), 0
    for _ in range(200):
        d = np.clip(rng.normal(found.one_round, SLICE_SD, 12288), -1, 1)
        won = log_wealth_path(d, rules.duel.margin, ends) >= -np.log(found.alpha)
        given_up = log_wealth_path(d, rules.duel.planning_effect, ends, null="at_least") >= -np.log(
            rules.duel.beta
        )
        crossed += bool(won.any() and not given_up[: won.argmax()].any())
    assert 0.7 <= crossed / 200 <= 0.9


def test_text_shows_verdict_problem_and_way_out(client: TestClient) -> None:
    def text(key: str) -> list[str]:
        page = SubmissionPage.model_validate_json(client.get(f"/v1/submissions/{key}").content)
        return text_of(page.items[0]).splitlines()

    assert text("Cat") == [
        "submission  sha256:" + "72" * 32,
        "hotkey      Cat, committed at block 114",
        "state       rejected, round 0",
        "problem     dtype_forbidden (fault: miner)",
        "help        save the tensors in a dtype that the competition allows",
        "why         rejected: model.safetensors: F64",
    ]
    assert text("Bob")[4] == "duel        d1: lost (worse), log wealth -3.00 of 4.16, 32 prompts"
    assert text("Eve")[4] == "duel        d2: closed, 32 prompts"
