"""Length alone must not pay, whatever the shape of a judge's liking for it.

A bounded straight line or a tanh in place of the curve fails here: it leaves +.1 to +.5 for padding.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest

from shared.judging.reference import build_reference
from shared.judging.score import judge_z, midrank
from shared.protocol.competition import Judging
from shared.protocol.evidence import Completion
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName

JUDGING = Judging(
    disagreement_penalty=0, gated_percentile=0.05, nll_quantile=0.99, kl_budget=30, judge_set_rounds=2
)
LIKINGS: dict[str, Callable[[float], float]] = {
    "line": lambda x: x,
    "saturating": lambda x: math.tanh(1.5 * x),
    "convex": lambda x: math.exp(0.7 * x) / 2,
    "step": lambda x: 2.0 * (x > 1),
}
MOST = 0.1


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("name", LIKINGS)
def test_padding_to_the_longest_allowed_length_pays_nothing(
    name: str, strength: float, reply: Callable[..., Completion]
) -> None:
    rng = random.Random(1)

    def draw_tokens() -> int:
        return max(3, round(rng.gammavariate(7, 2)))

    def reward(tokens: int) -> float:
        return strength * LIKINGS[name]((tokens - 14) / 5.3) + rng.gauss(0, math.sqrt(1 - 0.75 * strength**2))

    chat = SliceName("chat")
    asked = [Prompt(id=PromptId(f"p{i // 3}"), slice=chat, cluster="c", text="t") for i in range(600)]
    replies = [reply(tokens=draw_tokens()) for _ in asked]
    rewards = [reward(len(one.token_ids)) for one in replies]
    built = build_reference(
        chat, asked, replies, raw={"a": rewards}, coefficients={"a": 1.0}, judging=JUDGING
    )

    def score(tokens: int) -> float:
        return midrank(judge_z(reward(tokens), tokens, "c", built.judges["a"], built.lengths), built.u_all)

    usual = fmean(score(draw_tokens()) for _ in range(2000))
    longest = math.floor(built.lengths.high)
    assert fmean(score(longest) for _ in range(1000)) - usual < MOST
