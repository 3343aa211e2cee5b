"""A dry run: the validators' scorer on what a miner has, public prompts and the proxy judge.

`agon-miner score` plays its dry run here. Reference statistics are measured anew, since the real ones
are as held out as the judges; everything sampled is kept on disk, so that asking twice costs one completion.
Prompts, sampler, gates, rows and rule are those of a real duel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from miner.dry_run.completion_cache import CompletionCache
from shared.checkpoints.bundle import Bundle, read_prompts
from shared.checkpoints.files import write_whole
from shared.checkpoints.manifest import build_manifest
from shared.duels.draw import draw
from shared.duels.rows import CompletionKey, Seeds
from shared.duels.scorer import JUDGED, Job, Scorer, measure_reference
from shared.engines.engine import Engine
from shared.errors import AgonError
from shared.judging.judge import Judges
from shared.protocol.competition import Competition
from shared.protocol.evidence import ScoredCompletion
from shared.protocol.prompt import Prompt, pool_root
from shared.protocol.reference import Reference
from shared.protocol.wire import canonical_json, digest_of
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.types import Digest, JudgeName, SliceName

PROXY = JudgeName("proxy")
REFERENCE_PROMPTS = 64
"""Most public prompts of a slice that go into its reference statistics."""
REFERENCE_SHARE = 3
"""At most one in so many of the slice's public prompts: the others are for the dry run."""
REFERENCE_SAMPLES = 3
CHUNK_PROMPTS = 64
"""Prompts answered before the completions are kept."""

BatchesOfPrompts = tuple[tuple[Prompt, ...], ...]
REFERENCES: TypeAdapter[tuple[Reference, ...]] = TypeAdapter(tuple[Reference, ...])


@dataclass(frozen=True)
class DryRun:
    """A scorer for dry runs, and the prompts that they take."""

    rules: Competition
    """The competition's rules with the judges and references of the dry run."""
    seed: Digest
    batches: BatchesOfPrompts
    scorer: Scorer
    cache: CompletionCache

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts in order."""
        return tuple(prompt for batch in self.batches for prompt in batch)

    def completions(
        self, model: Digest, checkpoint: Path, seeds: Seeds
    ) -> Mapping[CompletionKey, ScoredCompletion]:
        """Scored completions of the policy at `checkpoint` to every prompt; cached ones are not drawn.

        Raises what `Scorer.evaluate` raises; completions drawn before stay in the cache.
        """
        found = self.cache.load(model)
        for start in range(0, len(self.prompts), CHUNK_PROMPTS):
            chunk = self.prompts[start : start + CHUNK_PROMPTS]
            missing = [(p, seed) for p in chunk for seed in seeds[p.id] if (model, p.id, seed) not in found]
            if missing:
                scored = self.scorer.evaluate(checkpoint, [Job(prompt, seed) for prompt, seed in missing])
                found |= {(model, p.id, seed): s for (p, seed), s in zip(missing, scored, strict=True)}
                self.cache.save(model, found)
        return found


@contextmanager
def open_dry_run(
    bundle: Bundle, judges: Mapping[JudgeName, Path], *, prompts: int, seed: int, state: Path
) -> Iterator[DryRun]:
    """A dry run over at most `prompts` public prompts, with its two children, which end with it.

    `judges` are directories by name; without any, the bundle's public proxy serves. Raises AgonError
    `data_invalid` without a judge or without enough public prompts, and what measuring references raises.
    """
    judges = judges or _proxy_of(bundle)
    public = _by_slice(bundle)
    terms = [
        {"name": name, "digest": build_manifest(path).digest, "from_round": 0}
        for name, path in sorted(judges.items())
    ]
    everything = tuple(prompt for group in public.values() for prompt in group)
    document = {"competition": bundle.rules.digest, "judges": terms, "prompts": pool_root(everything)}
    root = digest_of({"dry_run": 1, "seed": seed, **document})
    cache = CompletionCache(state / "dry-runs" / root.removeprefix("sha256:")[:16])
    threads = bundle.rules.sampling.engine.threads
    with (
        closing(SamplerChild(bundle.base, bundle.rules.sampling)) as sampler,
        closing(JudgeChild(judges, threads=threads)) as judging,
    ):
        kept, rest = _split(public)
        references = _references(
            bundle, judges, kept, sampler=sampler, judging=judging, seed=root, cache=cache
        )
        slices = [
            {**part.model_dump(mode="json"), "reference": digest_of(references[part.name])}
            for part in bundle.rules.slices
        ]
        plain = bundle.rules.model_dump(mode="json")
        rules = Competition.model_validate({**plain, "judges": terms, "slices": slices})
        batches = _batches(rules, rest, root, prompts)
        yield DryRun(rules, root, batches, Scorer(rules, references, sampler, judging), cache)


def _proxy_of(bundle: Bundle) -> dict[JudgeName, Path]:
    if all(part.kind != JUDGED for part in bundle.rules.slices):
        return {}
    if not (bundle.public / "proxy").is_dir():
        message = f"{bundle.public} has no proxy judge"
        raise AgonError("data_invalid", message, help="pass --judges with a judge of your own")
    return {PROXY: bundle.public / "proxy"}


def _by_slice(bundle: Bundle) -> dict[SliceName, tuple[Prompt, ...]]:
    prompts = read_prompts(bundle.public / "prompts.jsonl")
    return {
        part.name: tuple(prompt for prompt in prompts if prompt.slice == part.name)
        for part in bundle.rules.slices
    }


def _split(
    public: Mapping[SliceName, Sequence[Prompt]],
) -> tuple[dict[SliceName, list[Prompt]], dict[SliceName, list[Prompt]]]:
    """Prompts for the reference statistics, spread over the slice, and the others."""
    kept, rest = {}, {}
    for name, prompts in public.items():
        count = min(REFERENCE_PROMPTS, len(prompts) // REFERENCE_SHARE)
        chosen = {index * len(prompts) // max(1, count) for index in range(count)}
        kept[name] = [prompt for index, prompt in enumerate(prompts) if index in chosen]
        rest[name] = [prompt for index, prompt in enumerate(prompts) if index not in chosen]
    return kept, rest


def _references(
    bundle: Bundle,
    judges: Mapping[JudgeName, Path],
    kept: Mapping[SliceName, Sequence[Prompt]],
    *,
    sampler: Engine,
    judging: Judges,
    seed: Digest,
    cache: CompletionCache,
) -> dict[SliceName, Reference]:
    """The dry run's reference statistics, from the cache when they were measured before."""
    path = cache.folder / "references.json"
    try:
        stored = REFERENCES.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        stored = ()
    if {reference.slice for reference in stored} != {part.name for part in bundle.rules.slices}:
        stored = tuple(
            measure_reference(
                bundle.base,
                sampler,
                judging,
                coefficients=dict.fromkeys(judges, 1.0),
                judging=bundle.rules.judging,
                name=part.name,
                kind=part.kind,
                prompts=kept[part.name],
                per_prompt=REFERENCE_SAMPLES,
                seed=digest_of({"reference": seed, "slice": part.name}),
                rules_version=bundle.rules.rules_version,
            )
            for part in bundle.rules.slices
        )
        write_whole(path, canonical_json([reference.model_dump(mode="json") for reference in stored]))
    return {reference.slice: reference for reference in stored}


def _batches(
    rules: Competition, prompts: Mapping[SliceName, Sequence[Prompt]], seed: Digest, most: int
) -> BatchesOfPrompts:
    """As many whole batches as `most` prompts and the public prompts allow, drawn as a round draws."""
    per_batch = {part.name: part.per_batch for part in rules.slices}
    for count in range(most // rules.batch_prompts, 1, -1):
        try:
            return draw(prompts, per_batch, seed, (), count)
        except AgonError as error:
            if error.code != "pool_exhausted":
                raise
    raise AgonError("data_invalid", "the public prompts do not fill two batches of a dry run")
