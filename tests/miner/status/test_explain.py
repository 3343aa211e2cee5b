"""Explanations tell when, how much and who signed; what is not signed as told is refused."""

from __future__ import annotations

from typing import Any

import pytest
from bittensor.sp_core import Keypair

from miner.status.explain import outlook_of, verify_proofs
from shared.errors import AgonError
from shared.protocol.api import CompetitionView, Provable, SubmissionPage, SubmissionView
from shared.protocol.statement import SlotReport, StatementBody
from shared.protocol.verdict import Verdict
from shared.signing import sign

MODEL, ZERO = "sha256:" + "1" * 64, "sha256:" + "0" * 64
MINER = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
VERDICT = Verdict(
    outcome="unproven", reason="futile", prompts=64, mean=0.01, lower=-0.1, upper=0.1, win_rate=0.5,
    alpha=0.01, log_wealth=-1.0, kl=2.0, extra_tokens=0.0,
)  # fmt: skip


def submission(rules: Any, **changes: Any) -> SubmissionView:
    duel = {
        "id": "ab", "hotkey": MINER, "commit_block": 7, "challenger": MODEL, "champion": ZERO, "round": 0,
        "state": "closed", "prompts": 64, "alpha": 0.01, "threshold": 4.6, "opens_at_block": None,
        "verdict": VERDICT,
    }  # fmt: skip
    document = {
        "hotkey": MINER, "commit_block": 7, "competition": rules.digest, "digest": ZERO, "model": MODEL,
        "locator": "file:mine", "state": "settled", "seen_round": 0, "round": 0, "rank": 0,
        "fetch_until_block": None, "settled_round": 0, "queue_position": None, "attempts": 0,
        "next_try_block": None, "problem": None, "duels": [duel], "record": None,
        "explanation": "unproven", "to_win": "more",
    }  # fmt: skip
    return SubmissionView.model_validate(document | changes)


def statement(rules: Any, author: str, **changes: Any) -> StatementBody:
    slot = SlotReport(
        hotkey=MINER, commit_block=7, digest=ZERO, model=MODEL, outcome="unproven", code="futile",
        verdict=VERDICT, duel="ab", rows_root=ZERO,
    )  # fmt: skip
    body = StatementBody(
        competition=rules.digest, round=0, author=author, previous=None, close_block=19, close_hash="0x00",
        seed=ZERO, source="snapshot", champion=ZERO, slots=(slot,), crowned=None, next_champion=ZERO,
        rows_root=ZERO,
    )  # fmt: skip
    return body.model_copy(update=changes)


@pytest.fixture
def signer() -> Any:
    return Keypair.create_from_uri("//Bob")


def serve(api: Any, rules: Any, signed: Any) -> None:
    path = f"/v1/rounds/0/statement?competition={rules.digest}"
    api.answers[path] = (200, signed.model_dump(mode="json"))


def test_a_signed_statement_is_proof(world: Any, api: Any, signer: Any) -> None:
    author = signer.ss58_address
    serve(api, world.rules, sign(statement(world.rules, author), signer))
    item = submission(world.rules)
    for permits, told in (({author}, True), (None, None)):
        (proof,) = verify_proofs(api.url, [item], permits)
        expected = {"round": 0, "author": author, "permit": told, "outcome": "unproven", "commit_block": 7}
        assert proof.model_dump() == expected


def test_what_is_not_signed_as_told_is_refused(world: Any, api: Any, signer: Any) -> None:
    author = signer.ss58_address
    good = statement(world.rules, author)
    signed = sign(good, signer)
    won = submission(world.rules).model_dump(mode="json")["duels"][0] | {"verdict": None}
    lie = VERDICT.model_copy(update={"mean": 0.02}).model_dump(mode="json")
    cases = [
        (signed.model_copy(update={"body": signed.body | {"round": 1}}), {author}, {}),
        (signed, {MINER}, {}),
        (sign(statement(world.rules, author, round=1), signer), {author}, {}),
        (sign(statement(world.rules, author, slots=()), signer), {author}, {}),
        (sign({"author": author, "hello": 1}, signer), {author}, {}),
        (signed, {author}, {"state": "withheld"}),
        (signed, {author}, {"duels": [won | {"verdict": lie}]}),
    ]
    for served, permits, changes in cases:
        serve(api, world.rules, served)
        with pytest.raises(AgonError) as caught:
            verify_proofs(api.url, [submission(world.rules, **changes)], permits)
        assert caught.value.code == "signature_invalid"


def test_a_sealed_round_has_no_proof_yet(world: Any, api: Any) -> None:
    assert verify_proofs(api.url, [submission(world.rules)], None) == ()


def competition(rules: Any, head: int) -> CompetitionView:
    proves = Provable(alpha=0.01, slots=2, assumed_sd=0.26, one_round=0.1, with_carries=0.1, confirmed=0.1)
    return CompetitionView.model_validate(
        {
            "digest": rules.digest, "rules": rules, "head": head, "round": rules.schedule.round_at(head),
            "closes_at_block": 19, "champion": None, "proves": proves, "guarantee": "g",
        }
    )  # fmt: skip


def test_the_outlook_follows_the_queue(world: Any) -> None:
    """Two slots a round of 20 blocks: two rounds close before the one of the fifth."""
    rules = world.rules
    waiting = submission(
        rules, state="waiting", queue_position=5, round=None, settled_round=None, duels=[], rank=None
    )
    look = outlook_of([waiting], competition(rules, 25), 12.0)
    assert look is not None
    assert look.model_dump() == {
        "queue_position": 5, "rounds_ahead": 2, "round": 3, "verdict_block": 99, "blocks": 74,
        "seconds": 888.0,
    }  # fmt: skip
    duelling = submission(rules, state="dueling", settled_round=None)
    assert outlook_of([duelling], competition(rules, 25), None).verdict_block == 39
    assert outlook_of([submission(rules)], competition(rules, 25), None) is None


def test_the_command_explains_with_the_chain(world: Any, api: Any, signer: Any) -> None:
    hotkey = world.hotkey
    waiting = submission(
        world.rules,
        hotkey=hotkey, state="waiting", queue_position=1, round=None, settled_round=None, duels=[], rank=None,
    )  # fmt: skip
    page = SubmissionPage(items=(waiting,), next_cursor=None)
    api.answers[f"/v1/submissions/{hotkey}"] = (200, page.model_dump(mode="json"))
    api.answers["/v1/competition"] = (200, competition(world.rules, 5).model_dump(mode="json"))
    found = world.run_json("status", "--explain", "--api", api.url)["explanation"]
    assert found["outlook"]["verdict_block"] == 39
    assert found["earnings"] == {
        "records": [], "gain": 0.0, "share": None, "incentive": 0.0, "emission_rao": 0,
    }  # fmt: skip
    people = world.run("status", "--explain", "--api", api.url).stdout
    assert "verdict by block 39" in people
    assert "incentive" in people
