"""The small real competition that the model benchmarks measure on, and `race-1` in this process.

`open_arena` builds it once by the demo's own parts (base and trunk from packages, two judges, references,
a challenger by the miner's recipe) and keeps it in the cache. With `tiny` all models have two layers.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import shared.competitions
from scripts.demo import parts
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.competitions.pools import DEMO_PROMPTS
from shared.duels.draw import completion_seed
from shared.duels.scorer import Scorer
from shared.engines.engine import CompletionJob
from shared.engines.hf import Policy
from shared.engines.model_sources import DEFAULT_BASE, DEFAULT_TRUNK, fetch_base, fetch_trunk
from shared.engines.sampler import Drawn, Request, sample, score_tokens
from shared.engines.tiny import fit_rules
from shared.errors import AgonError
from shared.judging.families.reward_model import RewardModel
from shared.protocol.competition import Sampling
from shared.protocol.evidence import Completion, ScoredCompletion
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.wire import digest_of
from shared.settings import Settings
from shared.types import JudgeName
from validator.owner.build import BundleInputs, build_bundle

SEED = 0
SEEDS = digest_of({"benchmark": "samples"})
LAYOUT = 2
"""Part of the cached name, beside a digest of rules and prompts: raised when the build changes."""
RULES = Path(next(iter(shared.competitions.__path__))) / "demo.toml"


@dataclass(frozen=True)
class Arena:
    """A bundle and a challenger that was trained against its public part."""

    bundle: Bundle
    challenger: Path
    proxy: Path
    """Directory of the public proxy judge."""

    @classmethod
    def at(cls, bundle: Path, challenger: Path) -> Arena:
        """The whole bundle in a directory, and a checkpoint that fits it."""
        loaded = load_bundle(bundle)
        return cls(loaded, challenger, loaded.public / "proxy")


def open_arena(*, tiny: bool, topics: bool = False) -> Arena:
    """The benchmarks' competition, from the cache or built now (minutes, and one download).

    With `topics` real completions under a word limit have to name the prompt's topic, which the demo's need
    not.
    """
    cache = Settings.load().cache
    made_of = digest_of({"rules": _rules(tiny=tiny, topics=topics), "prompts": DEMO_PROMPTS.read_text()})
    target = cache / f"benchmark-{'tiny' if tiny else '135m'}-{LAYOUT}-{made_of.removeprefix('sha256:')[:8]}"
    if target.is_dir() and not _is_current(target):
        shutil.rmtree(target)
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # what trainers print is no part of a benchmark's tables
        with (
            tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as scratch,
            redirect_stdout(sys.stderr),
        ):
            _build(Path(scratch) / "made", cache, tiny=tiny, topics=topics)
            (Path(scratch) / "made").rename(target)
    return Arena.at(target / "bundle", target / "challenger")


def _is_current(target: Path) -> bool:
    """Whether this version can read what an earlier one may have built."""
    try:
        load_bundle(target / "bundle")
    except AgonError as error:
        if error.code != "bundle_damaged":
            raise
        return False
    return True


def _rules(*, tiny: bool, topics: bool) -> dict[str, Any]:
    rules = read_rules(RULES)
    for part in rules["slices"] if topics else ():
        part["kind"] = part["kind"].replace("word-limit-1", "word-limit-2")
    return fit_rules(rules) if tiny else rules


def _build(target: Path, cache: Path, *, tiny: bool, topics: bool) -> None:
    source, trunk = (f"tiny:{SEED}", f"tiny:{SEED}") if tiny else (DEFAULT_BASE, DEFAULT_TRUNK)
    base = fetch_base(source, cache)
    brought, judges = target / "brought", target / "judges"
    parts.prompts(brought, seed=SEED)
    parts.judges(judges, base=base, trunk=fetch_trunk(trunk, cache), rules=RULES, seed=SEED, tiny=tiny)
    rules = _rules(tiny=tiny, topics=topics)
    ingredients = BundleInputs(
        rules=rules,
        base=base,
        sources=(source,),
        pools={part["name"]: brought / "pools" / f"{part['name']}.jsonl" for part in rules["slices"]},
        judges={JudgeName("held-out"): judges / "held-out"},
        proxy=judges / "proxy",
        public_prompts=brought / "public.jsonl",
        reference=brought / "reference.jsonl",
    )
    build_bundle(ingredients, target / "bundle")
    parts.honest(target / "challenger", bundle=target / "bundle", seed=SEED, tiny=tiny)


def load(
    base: Path, change: Callable[[Any], None] | None = None, dtype: torch.dtype = torch.float32
) -> Policy:
    """The base model computing in `dtype`, after `change` was applied to it."""
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, local_files_only=True)
    model.requires_grad_(False)
    if change is not None:
        change(model)
    return Policy(model.eval(), AutoTokenizer.from_pretrained(base, local_files_only=True))


def jobs_of(prompts: Sequence[Prompt], samples: int) -> list[CompletionJob]:
    """`samples` jobs of every prompt, prompt by prompt."""
    return [
        CompletionJob(p.text, completion_seed(SEEDS, p.id, index))
        for p in prompts
        for index in range(samples)
    ]


def draw(policy: Policy, jobs: Sequence[CompletionJob], rules: Sampling) -> list[Drawn]:
    """What `policy` draws; unlike the children, in this process and with any policy."""
    limit = rules.limits.prompt_tokens
    return sample(policy, [Request(policy.render(job.text, limit), job.seed) for job in jobs], rules)


def completions_of(
    policy: Policy, base: Policy, jobs: Sequence[CompletionJob], drawn: Sequence[Drawn], rules: Sampling
) -> list[Completion]:
    """Drawn completions as evidence, with their likelihood under `base`."""
    limit = rules.limits.prompt_tokens
    pairs = [(base.render(job.text, limit), row.token_ids) for job, row in zip(jobs, drawn, strict=True)]
    likelihoods = [row.logprobs for row in drawn] if policy is base else score_tokens(base, pairs, rules)
    return [
        Completion(
            token_ids=row.token_ids,
            text=policy.text(row.token_ids[:-1] if row.finished else row.token_ids),
            finished=row.finished,
            logprob=sum(row.logprobs),
            base_logprob=sum(likelihood),
        )
        for row, likelihood in zip(drawn, likelihoods, strict=True)
    ]


class ArenaScorer:
    """The product's bench behind completions that were drawn here; judges run in this process."""

    def __init__(self, bundle: Bundle) -> None:
        self._models = {name: RewardModel(path) for name, path in bundle.judges.items()}
        self._scorer = Scorer(bundle.rules, bundle.references, self, self)

    def complete(self, checkpoint: Path, jobs: Sequence[CompletionJob]) -> list[Completion]:
        """Nothing is ever sampled through this bench. Raises NotImplementedError."""
        raise NotImplementedError

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Raw rewards of one judge."""
        return self._models[judge].reward(pairs)

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[ScoredCompletion]:
        """Scored samples, every term included."""
        return self._scorer.score(prompts, completions)
