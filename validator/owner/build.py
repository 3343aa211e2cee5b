"""Building a competition: measured digests turn a table of rules into a bundle that validators load.

Owners call it once per competition. It copies what it is given, measures the reference statistics with
the real sampler and the real judges, and writes the rules last. It publishes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from shared.checkpoints import bundle as bundles
from shared.checkpoints.bundle import Bundle, load_bundle, read_prompts
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.numbers import check_bundle_numbers
from shared.duels.scorer import measure_reference
from shared.errors import AgonError
from shared.protocol.competition import Judging, Sampling
from shared.protocol.loader import field_errors, parse_competition
from shared.protocol.prompt import Prompt
from shared.protocol.wire import WireT, digest_of
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.types import Digest, JudgeName, SliceName
from validator.owner.preflight import check_judges, check_numbers, check_pools, check_verifiers

log = structlog.get_logger()


@dataclass(frozen=True)
class BundleInputs:
    """What an owner brings to a build."""

    rules: Mapping[str, Any]
    """The rules without measured digests, as read from TOML."""
    base: Path
    """Directory of the base model."""
    sources: tuple[str, ...]
    """Where others get the base."""
    pools: Mapping[SliceName, Path]
    """Held-out prompts of each slice, one JSON document a line."""
    judges: Mapping[JudgeName, Path]
    """Directories of the held-out judges."""
    proxy: Path | None
    """Directory of the public reward model that miners may train against."""
    public_prompts: Path
    """Prompts that miners may train on."""
    reference: Path
    """Prompts that the reference completions are drawn for; in no pool."""
    judge_pairs: Path | None = None
    """Human pairs that the judges are weighed on; without them all weigh the same."""
    reference_prompts: int = 64
    """Prompts of each slice that the reference completions are drawn for."""
    reference_samples: int = 3
    """Completions of each."""


def build_bundle(brought: BundleInputs, out: Path) -> Bundle:
    """Write a whole bundle to `out` and load it back. Raises AgonError for whatever does not hold.

    `out` must not hold rules yet: a bundle is never changed, only replaced.
    """
    if (out / bundles.RULES_FILE).exists():
        raise AgonError(
            "competition_invalid", f"{out} holds a bundle already", help="build into an empty directory"
        )
    rules = dict(brought.rules)
    pools = {name: read_prompts(path) for name, path in brought.pools.items()}
    _inspect(brought, rules, pools)
    coefficients = _weigh(brought)
    _copy_parts(brought, out)
    rules["base"] = {"digest": build_manifest(out / "base").digest, "sources": list(brought.sources)}
    rules["architecture"] = {**rules["architecture"], "table": bundles.write_base_table(out)}
    rules["judges"] = [
        {
            "name": name,
            "digest": build_manifest(out / "judges" / name).digest,
            "from_round": 0,
            "weight": coefficients[name],
        }
        for name in sorted(brought.judges)
    ]
    references = _measure_references(brought, rules, coefficients, out)
    rules["slices"] = [
        {
            **part,
            "pool": bundles.write_pool(out, part["name"], pools[part["name"]]).model_dump(mode="json"),
            "reference": references[part["name"]],
        }
        for part in rules["slices"]
    ]
    competition = parse_competition(rules, source="rules")
    check_bundle_numbers(competition, pools)
    bundles.write_rules(out, competition)
    return load_bundle(out)


def _inspect(
    brought: BundleInputs, rules: Mapping[str, Any], pools: Mapping[SliceName, Sequence[Prompt]]
) -> None:
    """Refuse what can be refused before anything is sampled."""
    asked = read_prompts(brought.reference)
    check_pools(pools, [*asked, *read_prompts(brought.public_prompts)])
    draft = check_numbers(rules, pools)
    check_verifiers(draft, [*asked, *(prompt for prompts in pools.values() for prompt in prompts)])
    proxy = {} if brought.proxy is None else {JudgeName("proxy"): brought.proxy}
    check_judges({**proxy, **brought.judges})


def _weigh(brought: BundleInputs) -> dict[JudgeName, float]:
    if brought.judge_pairs is None:
        return dict.fromkeys(brought.judges, 1.0)
    from shared.judging.preferences.pairs import read_pairs
    from validator.owner.judges.coefficients import weigh_judges

    return weigh_judges(brought.judges, read_pairs(brought.judge_pairs))


def _copy_parts(brought: BundleInputs, out: Path) -> None:
    shutil.copytree(brought.base, out / "base", dirs_exist_ok=True)
    for name, path in brought.judges.items():
        shutil.copytree(path, out / "judges" / name, dirs_exist_ok=True)
    if brought.proxy is not None:
        shutil.copytree(brought.proxy, out / "public" / "proxy", dirs_exist_ok=True)
    (out / "public").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(brought.public_prompts, out / "public" / "prompts.jsonl")


def _measure_references(
    brought: BundleInputs, rules: Mapping[str, Any], coefficients: Mapping[JudgeName, float], out: Path
) -> dict[SliceName, Digest]:
    """Base completions to the reference prompts, judged; digests by slice."""
    sampling, judging = _parse(Sampling, rules["sampling"]), _parse(Judging, rules["judging"])
    judges = {name: out / "judges" / name for name in brought.judges}
    asked = read_prompts(brought.reference)
    digests = {}
    with SamplerChild(out / "base", sampling) as sampler, JudgeChild(judges) as bench_judges:
        for part in rules["slices"]:
            name = SliceName(part["name"])
            own = [prompt for prompt in asked if prompt.slice == name]
            reference = measure_reference(
                out / "base",
                sampler,
                bench_judges,
                coefficients=coefficients,
                judging=judging,
                name=name,
                kind=part["kind"],
                prompts=spread(own, brought.reference_prompts),
                per_prompt=brought.reference_samples,
                seed=digest_of({"reference": rules["name"], "slice": name}),
            )
            log.info("reference measured", slice=name, base=reference.s_mean)
            digests[name] = bundles.write_reference(out, reference)
    return digests


def spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` prompts over as many clusters as possible: the first of each cluster, then the second."""
    by_cluster: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_cluster.setdefault(prompt.cluster, []).append(prompt)
    layers = zip_longest(*(by_cluster[name] for name in sorted(by_cluster)))
    return [prompt for layer in layers for prompt in layer if prompt is not None][:count]


def _parse(kind: type[WireT], value: Any) -> WireT:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise AgonError("competition_invalid", f"{kind.__name__.lower()}: {field_errors(error)}") from error
