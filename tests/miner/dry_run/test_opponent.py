"""Whom a dry run plays, and under which conditions: from the validator, verified, or openly assumed."""

from __future__ import annotations

from typing import Any

import pytest

from miner.dry_run.completion_cache import MOST_POLICIES, CompletionCache
from miner.dry_run.opponent import Conditions, asked_conditions, assumed_conditions, find_opponent
from shared.checkpoints.bundle import load_bundle
from shared.checkpoints.manifest import load_manifest
from shared.checkpoints.stores import NotServed
from shared.errors import AgonError
from shared.protocol.api import (
    Champion,
    CompetitionView,
    Leaderboard,
    Provable,
    RoundView,
    SubmissionPage,
    SubmissionView,
)
from shared.protocol.evidence import Completion, ScoredCompletion

AUTHOR = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
ZERO, ONE = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def serve(api: Any, path: str, document: Any) -> None:
    api.answers[path] = (200, document.model_dump(mode="json"))


def crown(api: Any, rules: Any, model: str, hotkey: str | None) -> Champion:
    champion = Champion(model=model, hotkey=hotkey, from_round=2, rounds=3)
    board = Leaderboard(
        competition=rules.digest, round=4, champion=champion, standings=(), remainder=None, weights=None
    )
    serve(api, "/v1/leaderboard", board)
    return champion


def submission(rules: Any, **changes: Any) -> SubmissionView:
    document = {
        "hotkey": AUTHOR, "commit_block": 7, "competition": rules.digest, "digest": ZERO, "model": ONE,
        "locator": "file:theirs", "state": "settled", "seen_round": 0, "round": 0, "rank": 0,
        "fetch_until_block": None, "settled_round": 0, "queue_position": None, "attempts": 0,
        "next_try_block": None, "problem": None, "duels": [], "record": None, "explanation": "",
        "to_win": None,
    }  # fmt: skip
    return SubmissionView.model_validate(document | changes)


def test_the_champion_is_fetched_once_and_verified(world: Any, api: Any) -> None:
    bundle = load_bundle(world.root / "bundle", public=True)
    crown(api, world.rules, world.rules.base.digest, None)
    assert find_opponent(world.settings, bundle, "champion", api.url) == bundle.base
    manifest = load_manifest(world.package)
    crown(api, world.rules, manifest.digest, AUTHOR)
    page = SubmissionPage(items=(submission(world.rules, model=manifest.digest),), next_cursor=None)
    serve(api, f"/v1/submissions/{manifest.digest}", page)
    world.settings.store.mkdir()
    theirs = world.settings.store / "theirs"
    with pytest.raises(NotServed):
        find_opponent(world.settings, bundle, "champion", api.url)
    world.package.rename(theirs)
    found = find_opponent(world.settings, bundle, "champion", api.url)
    assert load_manifest(found) == manifest
    (theirs / "model.safetensors").write_bytes(b"other bytes")
    assert find_opponent(world.settings, bundle, "champion", api.url) == found


def test_another_manifest_than_the_champion_s_is_refused(world: Any, api: Any) -> None:
    bundle = load_bundle(world.root / "bundle", public=True)
    crown(api, world.rules, ONE, AUTHOR)
    serve(api, f"/v1/submissions/{ONE}", SubmissionPage(items=(submission(world.rules),), next_cursor=None))
    world.settings.store.mkdir()
    world.package.rename(world.settings.store / "theirs")
    with pytest.raises(NotServed) as caught:
        find_opponent(world.settings, bundle, "champion", api.url)
    assert caught.value.code == "commitment_mismatch"


@pytest.mark.parametrize(("against", "code"), [("champion", "usage"), ("nowhere", "usage")])
def test_what_cannot_be_found_is_said(world: Any, against: str, code: str) -> None:
    bundle = load_bundle(world.root / "bundle", public=True)
    with pytest.raises(AgonError) as caught:
        find_opponent(world.settings, bundle, against, None)
    assert caught.value.code == code
    assert find_opponent(world.settings, bundle, "base", None) == bundle.base
    assert find_opponent(world.settings, bundle, str(world.checkpoint), None) == world.checkpoint


def test_conditions_follow_queue_and_reign(world: Any, api: Any) -> None:
    """Round 5 is open, the reign began in round 2; rounds 2 and 3 had trials, round 4 gave no slots."""
    rules = world.rules
    proves = Provable(alpha=0.01, slots=2, assumed_sd=0.26, one_round=0.1, with_carries=0.1, confirmed=0.1)
    view = CompetitionView(
        digest=rules.digest, rules=rules, head=105, round=5, closes_at_block=119,
        champion=crown(api, rules, ONE, AUTHOR), proves=proves, guarantee="g",
    )  # fmt: skip
    serve(api, "/v1/competition", view)
    assert asked_conditions(api.url, trial=None, slots=None).trial == 1
    for number, trial in ((2, 1), (3, 2), (4, None)):
        serve(
            api,
            f"/v1/rounds/{number}",
            RoundView(
                competition=rules.digest, number=number, state="settled", close_block=19, close_hash="0x",
                next_hash="0x", seed=ZERO, source="snapshot", slots_given=0, trial=trial, champion=ONE,
                crowned=None, opens_at_block=None, statement=None, slots=(),
            ),
        )  # fmt: skip
    found = asked_conditions(api.url, trial=None, slots=None)
    assert (found.trial, found.slots) == (3, 1)
    queue = tuple(
        submission(rules, state="waiting", hotkey=f"5{i}", round=None, settled_round=None) for i in range(5)
    )
    serve(api, "/v1/submissions?limit=100", SubmissionPage(items=queue[:1], next_cursor=None))
    assert asked_conditions(api.url, trial=None, slots=None).slots == 2
    serve(api, "/v1/submissions?limit=100", SubmissionPage(items=queue, next_cursor=None))
    assert asked_conditions(api.url, trial=None, slots=None).slots == rules.schedule.slots == 2
    assert asked_conditions(api.url, trial=9, slots=1).trial == 9


def test_without_a_validator_the_conditions_are_said_to_be_assumed(world: Any) -> None:
    found = assumed_conditions(world.rules, trial=None, slots=None)
    assert (found.trial, found.slots) == (1, 2)
    assert "assumed" in found.source
    assert assumed_conditions(world.rules, trial=4, slots=1) == Conditions(4, 1, "as given")


def test_the_cache_keeps_completions_and_forgets_damage_and_old_policies(tmp_path: Any) -> None:
    completion = Completion(token_ids=(1, 2), text="é", finished=True, logprob=-0.1, base_logprob=-0.3)
    sample = ScoredCompletion(
        completion=completion, raw={"proxy": 0.1 + 0.2}, z={"proxy": -1e-17}, u=0.5, s=1 / 3
    )
    cache = CompletionCache(tmp_path / "cache")
    kept = {(ONE, "p-1", 2**53 - 1): sample}
    assert cache.load(ONE) == {}
    cache.save(ONE, kept)
    assert cache.load(ONE) == kept
    (path,) = cache.folder.glob("*.json")
    path.write_bytes(path.read_bytes()[:-9])
    assert cache.load(ONE) == {}
    for number in range(MOST_POLICIES + 3):
        model = "sha256:" + f"{number:02x}" * 32
        cache.save(model, {(model, "p-1", 1): sample})
    assert len(list(cache.folder.glob("*.json"))) == MOST_POLICIES
