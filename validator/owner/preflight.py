"""What an owner brings to a build, inspected before minutes are spent on measuring it.

`build.py` calls it first. Everything that can be known from the files alone is refused here, with a code and
the name of what is wrong: numbers, verifiers, judges; prompts and base have files of their own
(`prompt_files.py`, `base_check.py`). It writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from shared.checkpoints.allowlist import CONFIG_NAME, WEIGHTS_NAME
from shared.checkpoints.headers import read_header
from shared.checkpoints.numbers import check_bundle_numbers
from shared.checkpoints.tensors import FLOAT_NAMES, measure, tensor_root
from shared.errors import AgonError, Rejection
from shared.judging.judge import OneOf, agreement_alone_and_in_batch, check_reads_whole
from shared.protocol.competition import Competition, JudgeTerm, Pool, SamplingLimits
from shared.protocol.loader import parse_competition
from shared.protocol.prompt import Prompt, pool_root
from shared.protocol.wire import digest_of
from shared.sandbox.client import JudgeChild
from shared.settings import Settings
from shared.stats.payout import lifetime_pay, longest_half_life
from shared.types import Digest, JudgeName, SliceName
from validator.owner.judges.sources import fetch_judge
from validator.owner.judges.verifiers import check_prompts

PROXY = JudgeName("public-proxy")
"""What the proxy is called here: no held-out judge."""
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


def slice_names(rules: Mapping[str, Any]) -> tuple[SliceName, ...]:
    """Names of the slices in rules that nobody validated yet. Raises AgonError `competition_invalid`."""
    parts = rules.get("slices")
    if not isinstance(parts, list | tuple) or not parts:
        raise AgonError("competition_invalid", "rules: slices: there is no [[slices]] table")
    for number, part in enumerate(parts):
        if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
            raise AgonError("competition_invalid", f"rules: slices.{number}.name: a slice needs a name")
    return tuple(SliceName(part["name"]) for part in parts)


def check_numbers(rules: Mapping[str, Any], pools: Mapping[SliceName, Sequence[Prompt]]) -> Competition:
    """The rules with everything measurable left open, their numbers held against the pools.

    A rule of pay too: a lone record at the margin earns at most `LEAST_RECORD_PAY` over its life.
    Raises AgonError `competition_invalid` or `pool_too_small`.
    """
    slice_names(rules)
    slices = [
        {**part, "pool": _pool_of(pools.get(part["name"], ())), "reference": UNMEASURED}
        for part in rules["slices"]
    ]
    draft = {
        **rules,
        "base": {"digest": UNMEASURED},
        "architecture": {**rules.get("architecture", {}), "table": UNMEASURED},
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


def judges_said(rules: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What an owner's rules say of each judge by name: its kind, its parameters and its first round."""
    known = ("kind", "params", "from_round")
    return {
        str(judge["name"]): {key: judge[key] for key in known if key in judge}
        for judge in rules.get("judges", ())
        if isinstance(judge, Mapping) and "name" in judge
    }


def check_judges(
    judges: Mapping[JudgeName, Path],
    limits: SamplingLimits | None = None,
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Load every judge and have it score the probes, alone and in a batch; `limits` have to fit it.

    `said` names the kind and parameters of judges that are no reward models. Raises AgonError `judge_invalid`
    (labels, tensors, tokenizer, one reward for everything, another reward in a batch, the rewards of another
    one of `judges`, or a limit that cuts), `judge_non_finite`.
    """
    known: dict[tuple[float, ...], JudgeName] = {}
    terms = [
        JudgeTerm.model_validate(
            {"from_round": 0, **(said or {}).get(name, {}), "name": name, "digest": UNMEASURED}
        )
        for name in judges
    ]
    with JudgeChild(judges, terms=terms) as child:
        for name in judges:
            one = OneOf(child, name)
            agreement_alone_and_in_batch(one, PROBES)
            if limits is not None:
                check_reads_whole(one, limits.prompt_tokens, limits.new_tokens)
            rewards = tuple(child.reward(name, PROBES))
            if len(set(rewards)) == 1:
                raise AgonError("judge_invalid", f"judge {name} gives every text the same reward")
            twin = known.setdefault(rewards, name)
            if twin != name:
                _refuse_twins(twin, name)


def check_judge_files(judges: Mapping[JudgeName, Path], proxy: Path | None) -> None:
    """Refuse a directory that holds judges and is none, and a held-out judge with the public proxy's tensors.

    Raises AgonError `judge_unavailable` or `judge_invalid`. What else may be wrong, loading tells.
    """
    named = dict(judges) if proxy is None else {PROXY: proxy, **judges}
    for name, path in named.items():
        check_judge_place(name, path)
    public = None if proxy is None else _tensors_of(proxy)
    for name, path in judges.items() if public else ():
        if _tensors_of(path) == public:
            _refuse_twins(PROXY, name)


def bring_judges(named: Iterable[tuple[JudgeName, str]], settings: Settings) -> dict[JudgeName, Path]:
    """Directories of judges, from their names and sources. Errors as for `bring_judge`, and `usage`."""
    brought: dict[JudgeName, Path] = {}
    for name, source in named:
        if name in brought:
            raise AgonError("usage", f"judge {name} is given twice", help="give every judge its own name")
        brought[name] = bring_judge(name, source, settings)
    return brought


def bring_judge(name: JudgeName, source: str, settings: Settings) -> Path:
    """Directory of the judge at `source`. Raises AgonError `judge_unavailable`, as `fetch_judge` does."""
    check_judge_place(name, Path(source).expanduser())  # a place elsewhere is no directory here
    return fetch_judge(source, settings)


def check_judge_place(name: JudgeName, path: Path) -> None:
    """Refuse a directory without a judge, naming the ones below it that hold one.

    Raises AgonError `judge_unavailable`.
    """
    if (path / CONFIG_NAME).is_file() or not path.is_dir():
        return
    below = sorted(file.parent for depth in ("*", "*/*") for file in path.glob(f"{depth}/{CONFIG_NAME}"))
    found = " or ".join(map(str, below[:3]))
    raise AgonError(
        "judge_unavailable",
        f"{path}, given as judge {name}, holds no {CONFIG_NAME}",
        help=f"give the directory that holds the judge: {found}" if found else None,
    )


def _tensors_of(path: Path) -> Digest | None:
    """Root over the tensors of a judge's file; none when they cannot be read, which loading will tell."""
    try:
        header = read_header(path, WEIGHTS_NAME)
        readable = {name: tensor for name, tensor in header.items() if tensor.dtype in FLOAT_NAMES}
        return tensor_root(dict(measure(path, readable)))
    except (OSError, Rejection):
        return None


def _refuse_twins(one: JudgeName, other: JudgeName) -> NoReturn:
    raise AgonError(
        "judge_invalid",
        f"judges {one} and {other} are the same model",
        help="hold out a judge that miners do not have: train it from other pairs and another seed"
        if one == PROXY
        else "name each judge once; a second name for the same model only counts it twice",
    )


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
