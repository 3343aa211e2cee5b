"""Building a competition: measured digests turn a table of rules into a bundle that validators load.

Owners call it once per competition. It copies what it is given, measures the reference statistics with
the real sampler and the real judges, and writes the rules last. It publishes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from shared.checkpoints import bundle as bundles
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.checkpoints.files import write_whole
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.numbers import check_bundle_numbers
from shared.duels.rows import check_serving
from shared.duels.scorer import measure_reference
from shared.errors import AgonError
from shared.protocol.competition import RULES_VERSION, Competition, JudgeTerm, Judging, Sampling
from shared.protocol.evidence import ScoredCompletion
from shared.protocol.loader import field_errors, parse_competition
from shared.protocol.prompt import Prompt
from shared.protocol.wire import WireT, canonical_json, digest_of
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.types import Digest, JudgeName, SliceName
from validator.owner.base_check import check_base
from validator.owner.gate_rates import GateRates, check_rates, rates_of
from validator.owner.preflight import (
    PROXY,
    check_judge_files,
    check_judges,
    check_numbers,
    check_verifiers,
    judges_said,
    slice_names,
)
from validator.owner.prompt_files import PromptFiles, check_clusters, read_prompt_files

log = structlog.get_logger()

HUMAN_PAIRS = "validated_on_human_pairs"
"""Field of `judging` that a build writes: what the owner chose, never what the rules brought along."""


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
    human_pairs_waived: bool = False
    """The owner said that no human pairs stand behind the judges."""

    @property
    def validated_on_human_pairs(self) -> bool | None:
        """What the rules say about it; none where nobody was asked."""
        if self.judge_pairs is not None:
            return True
        return False if self.human_pairs_waived else None


def build_bundle(
    brought: BundleInputs, out: Path, observe: Callable[[Sequence[GateRates]], None] | None = None
) -> Bundle:
    """Write a whole bundle to `out` and load it back. Raises AgonError for whatever does not hold.

    `out` must not hold rules yet: a bundle is never changed, only replaced. `observe` is handed how often the
    gates close on the base, slice by slice.
    """
    if (out / bundles.RULES_FILE).exists():
        raise AgonError(
            "competition_invalid", f"{out} holds a bundle already", help="build into an empty directory"
        )
    rules = _with_choices(brought)
    prompts, draft = _inspect(brought, rules)
    coefficients = _weigh(brought)
    _copy_parts(brought, prompts, out)
    rules["base"] = {"digest": build_manifest(out / "base").digest, "sources": list(brought.sources)}
    rules["architecture"] = {**rules["architecture"], "table": bundles.write_base_table(out)}
    rules["judges"] = _judge_terms(brought, coefficients, out)
    references, rates = _measure_references(brought, rules, prompts.reference, coefficients, out)
    if observe is not None:
        observe(rates)
    _tell(check_rates(rates, draft.rules_version))
    rules["slices"] = [
        {
            **part,
            "pool": bundles.write_pool(out, part["name"], prompts.pools[part["name"]]).model_dump(
                mode="json"
            ),
            "reference": references[part["name"]],
        }
        for part in rules["slices"]
    ]
    competition = parse_competition(rules, source="rules")
    check_bundle_numbers(competition, prompts.pools)
    check_serving(competition)
    bundles.write_rules(out, competition)
    return load_bundle(out)


def _judge_terms(
    brought: BundleInputs, coefficients: Mapping[JudgeName, float], out: Path
) -> list[dict[str, Any]]:
    """The judges of the rules: kind, params and from_round as the owner says, the rest as measured."""
    said = judges_said(brought.rules)
    return [
        {
            "from_round": 0,
            **said.get(name, {}),
            "name": name,
            "digest": build_manifest(out / "judges" / name).digest,
            "weight": coefficients[name],
        }
        for name in sorted(brought.judges)
    ]


def _with_choices(brought: BundleInputs) -> dict[str, Any]:
    """The rules as brought, and what the owner chose for this build in place of what they may say."""
    rules, chosen = dict(brought.rules), brought.validated_on_human_pairs
    said = {key: value for key, value in rules.get("judging", {}).items() if key != HUMAN_PAIRS}
    rules["judging"] = said if chosen is None else {**said, HUMAN_PAIRS: chosen}
    return rules


def _inspect(brought: BundleInputs, rules: Mapping[str, Any]) -> tuple[PromptFiles, Competition]:
    """Refuse what can be refused before anything is sampled: files first, then what loads a model."""
    prompts = read_prompt_files(brought.pools, brought.reference, brought.public_prompts, slice_names(rules))
    for name, pool in prompts.pools.items():
        _tell(check_clusters(name, pool))
    draft = check_numbers(rules, prompts.pools)
    check_verifiers(draft, [*prompts.reference, *(one for pool in prompts.pools.values() for one in pool)])
    check_judge_files(brought.judges, brought.proxy)
    check_base(brought.base, draft, prompts.every())
    proxy = {} if brought.proxy is None else {PROXY: brought.proxy}
    check_judges({**proxy, **brought.judges}, draft.sampling.limits, judges_said(rules))
    return prompts, draft


def _tell(finding: AgonError | None) -> None:
    if finding is not None:
        log.warning(finding.message, code=finding.code, help=finding.help)


def _weigh(brought: BundleInputs) -> dict[JudgeName, float]:
    if brought.judge_pairs is None:
        return dict.fromkeys(brought.judges, 1.0)
    from shared.judging.preferences.pairs import read_pairs
    from validator.owner.judges.coefficients import weigh_judges

    return weigh_judges(brought.judges, read_pairs(brought.judge_pairs))


def _copy_parts(brought: BundleInputs, prompts: PromptFiles, out: Path) -> None:
    shutil.copytree(brought.base, out / "base", dirs_exist_ok=True)
    for name, path in brought.judges.items():
        shutil.copytree(path, out / "judges" / name, dirs_exist_ok=True)
    if brought.proxy is not None:
        shutil.copytree(brought.proxy, out / "public" / "proxy", dirs_exist_ok=True)
    # not the owner's bytes: miners read one spelling, without byte order mark and blank lines
    lines = b"".join(canonical_json(prompt) + b"\n" for prompt in prompts.public)
    write_whole(out / "public" / "prompts.jsonl", lines)


def _measure_references(
    brought: BundleInputs,
    rules: Mapping[str, Any],
    asked: Sequence[Prompt],
    coefficients: Mapping[JudgeName, float],
    out: Path,
) -> tuple[dict[SliceName, Digest], list[GateRates]]:
    """Base completions to the reference prompts, judged: digests and gate rates by slice."""
    sampling, judging = _parse(Sampling, rules["sampling"]), _parse(Judging, rules["judging"])
    judges = {name: out / "judges" / name for name in brought.judges}
    terms = [_parse(JudgeTerm, judge) for judge in rules["judges"]]
    digests, rates = {}, []
    with SamplerChild(out / "base", sampling) as sampler, JudgeChild(judges, terms=terms) as child:
        for part in rules["slices"]:
            name = SliceName(part["name"])
            own = [prompt for prompt in asked if prompt.slice == name]
            scored: list[ScoredCompletion] = []
            reference = measure_reference(
                out / "base",
                sampler,
                child,
                coefficients=coefficients,
                judging=judging,
                name=name,
                kind=part["kind"],
                prompts=spread(own, brought.reference_prompts),
                per_prompt=brought.reference_samples,
                seed=digest_of({"reference": rules["name"], "slice": name}),
                rules_version=rules.get("rules_version", RULES_VERSION),
                observe=scored.extend,
            )
            rates.append(rates_of(name, scored))
            log.info("reference measured", slice=name, base=reference.s_mean, gated=rates[-1].any)
            digests[name] = bundles.write_reference(out, reference)
    return digests, rates


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
