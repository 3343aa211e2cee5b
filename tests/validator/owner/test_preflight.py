"""What an owner brings is refused by name before anything is measured."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared.competitions
from shared.errors import AgonError
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.stats.payout import lifetime_pay
from shared.types import JudgeName, PromptId, SliceName
from tests.fixtures.models import save_judge
from validator.owner.preflight import (
    check_judge_files,
    check_judges,
    check_numbers,
    check_verifiers,
    slice_names,
)

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


def paying(rules: dict[str, Any], margin: float, full_gain: float, half_life: float) -> dict[str, Any]:
    return {
        **rules,
        "duel": {**rules["duel"], "margin": margin, "planning_effect": 0.9},
        "payout": {**rules["payout"], "full_gain": full_gain, "half_life_rounds": half_life},
    }


@pytest.mark.parametrize(
    ("margin", "full_gain", "half_life", "way_out"),
    [
        pytest.param(0.005, 0.10, 28.0, "payout.half_life_rounds to at most 27.37", id="a little too long"),
        pytest.param(0.005, 0.10, 27.38, "payout.half_life_rounds to at most 27.37", id="by a hundredth"),
        pytest.param(0.01, 0.10, 1e300, "payout.half_life_rounds to at most 13.51", id="for ever"),
        pytest.param(0.01, 1e-300, 1e300, "payout.full_gain above 0.005", id="all emission for anything"),
        pytest.param(0.3, 0.10, 0.001, "payout.full_gain above 0.15", id="three rounds at once"),
    ],
)
def test_rules_that_pay_a_lone_tiny_record_more_than_two_rounds_are_refused(
    margin: float, full_gain: float, half_life: float, way_out: str, rules: dict[str, Any]
) -> None:
    with pytest.raises(AgonError, match="the least record") as caught:
        check_numbers(paying(rules, margin, full_gain, half_life), pools_of(rules))
    assert code_of(caught) == "competition_invalid"
    assert way_out in caught.value.help


@settings(max_examples=40, derandomize=True)
@given(st.floats(1e-4, 0.5), st.floats(0.01, 1.0), st.floats(0.02, 1e4))
def test_accepted_rules_pay_the_least_record_at_most_two_rounds(
    margin: float, full_gain: float, half_life: float
) -> None:
    """And refused ones are told the longest half-life that passes, to the hundredth."""
    rules = dict(read_rules(DEMO))
    pools = pools_of(rules, size=192, clusters=50)
    try:
        payout = check_numbers(paying(rules, margin, full_gain, half_life), pools).payout
    except AgonError as refused:
        named = re.search(r"at most ([\d.]+)", refused.help)
        assert (named is None) == (margin >= 2 * full_gain)
        if named:
            longest = float(named[1])
            check_numbers(paying(rules, margin, full_gain, longest), pools)
            assert lifetime_pay(margin, full_gain, longest + 0.0101) > 2.0
    else:
        assert lifetime_pay(margin, payout.full_gain, payout.half_life_rounds) <= 2.0


def test_an_empty_pool_is_too_small(rules: dict[str, Any]) -> None:
    with pytest.raises(AgonError) as caught:
        check_numbers(rules, {name: [] for name in pools_of(rules)})
    assert code_of(caught) in {"pool_too_small", "competition_invalid"}


def test_an_unknown_verifier_and_a_prompt_without_parameters_are_refused(rules: dict[str, Any]) -> None:
    draft = check_numbers(rules, pools_of(rules))
    slices = {part.name for part in draft.slices if part.kind.startswith("verifier:")}
    assert slices, "the demo has a verifier's slice"
    for name in slices:
        with pytest.raises(AgonError, match="parameter") as caught:
            check_verifiers(draft, [prompt(name, 1, params={})])
        assert code_of(caught) == "competition_invalid"


@pytest.mark.parametrize("slices", [None, [], "words", [{"kind": "judges"}], ["words"]])
def test_rules_without_named_slices_are_refused_by_field(rules: dict[str, Any], slices: Any) -> None:
    with pytest.raises(AgonError, match="slices") as caught:
        slice_names({**rules, "slices": slices})
    assert code_of(caught) == "competition_invalid"


def test_a_held_out_judge_with_the_proxys_tensors_is_refused_whatever_lies_beside_them(
    judge_dir: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(judge_dir, tmp_path / "another-name")
    (copy / "README.md").write_text("trained by somebody else")
    check_judge_files({JudgeName("held-out"): copy}, None)
    check_judge_files({JudgeName("held-out"): save_judge(tmp_path / "two", labels=2)}, judge_dir)
    with pytest.raises(AgonError, match="public-proxy and held-out are the same model") as caught:
        check_judge_files({JudgeName("held-out"): copy}, judge_dir)
    assert code_of(caught) == "judge_invalid"


def test_a_judges_parent_directory_is_refused_and_the_judge_below_it_named(
    judge_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(judge_dir, tmp_path / "trained" / "judge")
    with pytest.raises(AgonError, match="holds no config") as caught:
        check_judge_files({JudgeName("held-out"): tmp_path / "trained"}, None)
    assert code_of(caught) == "judge_unavailable"
    assert str(tmp_path / "trained" / "judge") in caught.value.help


@pytest.mark.torch
def test_two_judges_that_give_the_same_rewards_are_one(judge_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(judge_dir, tmp_path / "copy")
    check_judges({JudgeName("one"): judge_dir})
    with pytest.raises(AgonError, match="one and two are the same model") as caught:
        check_judges({JudgeName("one"): judge_dir, JudgeName("two"): copy})
    assert code_of(caught) == "judge_invalid"
