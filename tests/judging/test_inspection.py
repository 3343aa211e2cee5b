"""What an owner brings is refused by name before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shared.competitions
from shared.competition import read_rules
from shared.errors import AgonError
from shared.models.prompt import Prompt
from shared.types import PromptId, SliceName
from validator.inspection import check_numbers, check_pools, check_verifiers

DEMO = Path(shared.competitions.__path__[0]) / "demo.toml"
Pools = dict[SliceName, list[Prompt]]


def prompt(name: str, index: int, clusters: int = 64, **fields: Any) -> Prompt:
    return Prompt(
        id=PromptId(f"{name}-{index}"),
        slice=SliceName(name),
        cluster=f"c{index % clusters}",
        text=f"Say {name} {index} in a few words.",
        **{"params": {"topic": "owl", "words": 12}, **fields},
    )


def pools_of(rules: dict[str, Any], size: int = 1024, clusters: int = 64) -> Pools:
    return {
        SliceName(part["name"]): [prompt(part["name"], index, clusters) for index in range(size)]
        for part in rules["slices"]
    }


@pytest.fixture
def rules() -> dict[str, Any]:
    return dict(read_rules(DEMO))


def code_of(error: pytest.ExceptionInfo[AgonError]) -> str:
    return error.value.code


def test_the_demos_numbers_hold(rules: dict[str, Any]) -> None:
    pools = pools_of(rules)
    draft = check_numbers(rules, pools)
    check_pools(pools, [prompt("open", 1)])
    check_verifiers(draft, [row for rows in pools.values() for row in rows])


def test_a_pool_below_one_round_is_too_small(rules: dict[str, Any]) -> None:
    with pytest.raises(AgonError, match="one round can use") as caught:
        check_numbers(rules, pools_of(rules, size=100))
    assert code_of(caught) == "pool_too_small"


def test_fewer_than_fifty_clusters_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(AgonError, match="at least 50") as caught:
        check_numbers(rules, pools_of(rules, clusters=49))
    assert code_of(caught) == "competition_invalid"


def test_a_slice_too_small_for_its_tolerance_is_refused(rules: dict[str, Any]) -> None:
    rules["duel"] = {**rules["duel"], "slice_tolerance": 0.01}
    with pytest.raises(AgonError, match="slice_tolerance") as caught:
        check_numbers(rules, pools_of(rules))
    assert code_of(caught) == "competition_invalid"


def test_an_empty_pool_is_too_small(rules: dict[str, Any]) -> None:
    with pytest.raises(AgonError) as caught:
        check_numbers(rules, {name: [] for name in pools_of(rules)})
    assert code_of(caught) in {"pool_too_small", "competition_invalid"}


def test_a_held_out_prompt_that_is_public_is_named(rules: dict[str, Any]) -> None:
    pools = pools_of(rules)
    name = next(iter(pools))
    leaked = pools[name][7].model_copy(
        update={"id": PromptId("o"), "text": pools[name][7].text.upper() + " "}
    )
    with pytest.raises(AgonError, match=f"{name}-7") as caught:
        check_pools(pools, [leaked])
    assert code_of(caught) == "competition_invalid"


@pytest.mark.parametrize("change", [{"slice": SliceName("other")}, {"id": PromptId("words-3")}])
def test_a_prompt_in_the_wrong_pool_or_twice_is_named(change: dict[str, str]) -> None:
    rows = [prompt("words", index) for index in range(8)]
    rows[5] = rows[5].model_copy(update=change)
    with pytest.raises(AgonError) as caught:
        check_pools({SliceName("words"): rows}, [])
    assert code_of(caught) == "competition_invalid"


def test_an_unknown_verifier_and_a_prompt_without_parameters_are_refused(rules: dict[str, Any]) -> None:
    draft = check_numbers(rules, pools_of(rules))
    slices = {part.name for part in draft.slices if part.kind.startswith("verifier:")}
    assert slices, "the demo has a verifier's slice"
    for name in slices:
        with pytest.raises(AgonError, match="parameter") as caught:
            check_verifiers(draft, [prompt(name, 1, params={})])
        assert code_of(caught) == "competition_invalid"
