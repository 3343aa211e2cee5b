"""The build says how often the gates close on the base, and new rules are refused where they mostly do."""

from __future__ import annotations

import pytest

from shared.errors import AgonError
from shared.protocol.evidence import Completion, ScoredCompletion
from shared.types import SliceName
from validator.owner.gate_rates import GateRates, check_rates, rates_of


def gated(count: int, of: int = 100) -> GateRates:
    completion = Completion(token_ids=(1,), text="a", finished=True, logprob=-1.0, base_logprob=-1.0)
    closed = [ScoredCompletion(completion=completion, gates=("nll", "unfinished"), s=0.0)] * count
    return rates_of(
        SliceName("words"), [*closed, *[ScoredCompletion(completion=completion, s=1.0)] * (of - count)]
    )


def test_rates_are_shares_of_completions_by_gate() -> None:
    rates = gated(3, of=12)
    assert (rates.completions, rates.any, rates.gates) == (12, 0.25, {"nll": 0.25, "unfinished": 0.25})
    assert rates.rates == "25%: nll 25.0%, unfinished 25.0%"
    assert gated(0).rates == "none"


@pytest.mark.parametrize("version", [1, 2])
def test_a_tenth_is_silent_and_more_is_told(version: int) -> None:
    assert check_rates([gated(0), gated(10)], version) is None
    told = check_rates([gated(0), gated(11), gated(50)], version)
    assert told is not None and told.code == "base_gated" and "words 11%" in told.message


def test_more_than_half_is_refused_from_the_second_rules_on() -> None:
    told = check_rates([gated(51)], 1)
    assert told is not None and told.code == "base_gated"
    with pytest.raises(AgonError, match="more than 50% of the base's own completions: words 51%") as caught:
        check_rates([gated(11), gated(51)], 2)
    assert caught.value.code == "base_gated"
    assert "new_tokens" in caught.value.help and "prompts" in caught.value.help
