"""What an owner brings to a build, inspected before minutes are spent on measuring it.

`building.py` calls it first. Everything that can be known from the files alone is refused here, with a
code and the name of what is wrong: pools, numbers, verifiers, judges. It writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.checkpoints.numbers import check_bundle_numbers
from shared.errors import AgonError
from shared.protocol.competition import Competition, Pool
from shared.protocol.loader import parse_competition
from shared.protocol.prompt import Prompt, pool_root
from shared.protocol.wire import digest_of
from shared.sandbox.client import JudgeChild
from shared.stats.payout import lifetime_pay, longest_half_life
from shared.types import JudgeName, SliceName
from validator.owner.judges.verifiers import check_prompts

UNMEASURED = digest_of({"digest": "not measured yet"})
"""Stands for digests that the build measures later."""
LEAST_RECORD_PAY = 2.0
"""Round-emissions that a lone record of the least gain, the margin, may earn over its life at most."""
PROBES = (
    ("What is a lantern?", "A lantern is a lamp that you can carry."),
    ("What is a lantern?", ""),
    ("What is a lantern?", "lamp " * 2000),
    ("\u00bfQu\u00e9 es \u4e00?", "\U0001f3ee \u706f\u7c60 \u0000 \u202e"),
)
"""Texts that a sound judge gives finite rewards, and not all the same."""


def check_pools(pools: Mapping[SliceName, Sequence[Prompt]], open_prompts: Iterable[Prompt]) -> None:
    """Every pool holds its own slice, each prompt once, and none that miners or the reference know.

    Raises AgonError `competition_invalid` naming the prompt.
    """
    known = {_wording(prompt) for prompt in open_prompts}
    seen: set[str] = set()
    for name, prompts in pools.items():
        for prompt in prompts:
            if prompt.slice != name:
                _refuse(f"prompt {prompt.id} in the pool of slice {name!r} belongs to slice {prompt.slice!r}")
            if prompt.id in seen:
                _refuse(f"prompt identifier {prompt.id} occurs twice in the pools")
            if _wording(prompt) in known:
                _refuse(f"prompt {prompt.id} of slice {name!r} is held out and among the open prompts too")
            seen.add(prompt.id)


def check_numbers(rules: Mapping[str, Any], pools: Mapping[SliceName, Sequence[Prompt]]) -> Competition:
    """The rules with everything measurable left open, their numbers held against the pools.

    A rule of pay too: a lone record at the margin earns at most `LEAST_RECORD_PAY` over its life.
    Raises AgonError `competition_invalid` or `pool_too_small`.
    """
    slices = [
        {**part, "pool": _pool_of(pools[part["name"]]), "reference": UNMEASURED} for part in rules["slices"]
    ]
    draft = {
        **rules,
        "base": {"digest": UNMEASURED},
        "architecture": {**rules["architecture"], "table": UNMEASURED},
        "judges": [{"name": "unmeasured", "digest": UNMEASURED, "from_round": 0}],
        "slices": slices,
    }
    competition = parse_competition(draft, source="rules")
    check_bundle_numbers(competition, pools)
    _check_least_record(competition)
    return competition


def check_verifiers(rules: Competition, prompts: Iterable[Prompt]) -> None:
    """Every prompt of a verifier's slice is one that it can tell right from wrong on. Errors as for
    `check_prompts`."""
    kinds = {part.name: part.kind.partition(":")[2] for part in rules.slices}
    for prompt in prompts:
        if kinds.get(prompt.slice):
            check_prompts(kinds[prompt.slice], [prompt])


def check_judges(judges: Mapping[JudgeName, Path]) -> None:
    """Load every judge and have it score the probes.

    Raises AgonError `judge_invalid` (labels, tensors, tokenizer, or one reward for everything),
    `judge_non_finite`.
    """
    with JudgeChild(judges) as child:
        for name in judges:
            if len(set(child.reward(name, PROBES))) == 1:
                raise AgonError("judge_invalid", f"judge {name} gives every text the same reward")


def _check_least_record(rules: Competition) -> None:
    margin, payout = rules.duel.margin, rules.payout
    pay = lifetime_pay(margin, payout.full_gain, payout.half_life_rounds)
    if pay <= LEAST_RECORD_PAY:
        return
    longest = math.floor(100.0 * longest_half_life(margin, payout.full_gain, LEAST_RECORD_PAY)) / 100.0
    raise AgonError(
        "competition_invalid",
        f"the least record, a gain of {margin:g}, would earn {pay:.5g} round-emissions over its life;"
        f" at most {LEAST_RECORD_PAY:g} are allowed",
        help=f"set payout.half_life_rounds to at most {longest:.2f}, or raise payout.full_gain"
        if longest > 0.0
        else f"raise payout.full_gain above {margin / LEAST_RECORD_PAY:g}",
    )


def _pool_of(prompts: Sequence[Prompt]) -> dict[str, Any]:
    clusters = len({prompt.cluster for prompt in prompts})
    return Pool.model_construct(root=pool_root(prompts), size=len(prompts), clusters=clusters).model_dump()


def _wording(prompt: Prompt) -> str:
    return " ".join(prompt.text.lower().split())


def _refuse(message: str) -> None:
    raise AgonError("competition_invalid", message)
