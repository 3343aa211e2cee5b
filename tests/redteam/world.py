"""The red team's competition: base, judges with known flaws, a real bundle, and duels run to their verdict.

Everything that decides is the product's: bundle, admission, sampler, judges, bench, rows and stepper. What
is the test's own is the language that they speak and the flaws that the judges are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miner.submit.package import package
from shared.checkpoints.admission import inspect
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.duels.draw import draw
from shared.duels.rows import CompletionKey, Side, evidence_row, fresh_difference, seeds_of
from shared.duels.scorer import Job, Scorer
from shared.engines.tiny import build_tiny_policy
from shared.errors import Rejection
from shared.protocol.competition import Competition
from shared.protocol.evidence import EvidenceRow, ScoredCompletion
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.verdict import Verdict
from shared.protocol.wire import canonical_json, sha256_digest
from shared.stats.duel import Carry, Terms, decide
from shared.stats.eprocess import alpha_share
from shared.stats.rows import Batch, Row
from shared.types import Digest, JudgeName, RoundNumber
from tests.redteam import corpus
from tests.redteam.roster import End
from tests.redteam.training import train_judge
from validator.owner.build import BundleInputs, build_bundle

DEMO = Path(__file__).parents[2] / "shared" / "competitions" / "demo.toml"
PLAIN, WARM, THOROUGH = map(JudgeName, ("plain", "warm", "thorough"))
LIKED = {PLAIN: None, WARM: "flattered", THOROUGH: "ramble"}
"""What each held-out judge wrongly likes. The plain one is the freshest."""
FRESH = RoundNumber(1)
SEED = sha256_digest(b"red team")
DOMINANT = 0.2
"""Least share of answers that a gate must stop to be named."""


@dataclass(frozen=True)
class Fight:
    """A duel's verdict with the evidence behind it."""

    end: End
    verdict: Verdict | None = None
    rows: tuple[EvidenceRow, ...] = ()


def build_world(root: Path) -> None:
    """Write base, proxy and a whole bundle below `root`: some half a minute on one core."""
    build_tiny_policy(1, root / "base", corpus.base_chats(1, 1000))
    for number, (name, liked) in enumerate(LIKED.items()):
        pairs = corpus.preferences("judge", number, liked=liked)
        train_judge(root / "base", root / "judges" / name, pairs, seed=number)
    train_judge(root / "base", root / "proxy", corpus.preferences("proxy", 9), seed=9)

    def write(name: str, prompts: Sequence[Prompt]) -> Path:
        path = root / f"{name}.jsonl"
        path.write_bytes(b"".join(canonical_json(prompt) + b"\n" for prompt in prompts))
        return path

    pools = {name: write(name, corpus.prompts_of("pool", 300, [name])) for name in corpus.SLICES}
    brought = BundleInputs(
        rules=small_rules(),
        base=root / "base",
        sources=("tiny:1",),
        pools=pools,
        judges={name: root / "judges" / name for name in LIKED},
        proxy=root / "proxy",
        public_prompts=write("public", corpus.prompts_of("public", 100)),
        reference=write("reference", corpus.prompts_of("reference", 60)),
        reference_prompts=60,
        reference_samples=3,
    )
    build_bundle(brought, root / "bundle")


def small_rules() -> dict[str, Any]:
    """The demo's rules with four slices, three judges and fewer prompts."""
    rules = read_rules(DEMO)
    kinds = {name: "verifier:word-limit-1" if name == corpus.LIMIT else "judges" for name in corpus.SLICES}
    counts = {"look": 64, "min": 64, "max": 256, "carried_rounds": 0, "gain": 96, "identity": 16}
    sampling = {**rules["sampling"], "limits": {"prompt_tokens": 64, "new_tokens": 32}}
    return {
        **rules,
        "name": "red-team",
        "sampling": {**sampling, "engine": {"dtype": "float32", "threads": 1, "batch": 64}},
        "slices": [{"name": name, "kind": kind, "weight": 1} for name, kind in kinds.items()],
        "judging": {**rules["judging"], "disagreement_penalty": 0.3},
        "duel": {**rules["duel"], "prompts": counts},
    }


class World:
    """The competition with its sampler and judges, ready to judge any checkpoint against the base."""

    def __init__(self, root: Path, sampler: Any, judges: Any) -> None:
        self.root = root
        self.bundle: Bundle = load_bundle(root / "bundle")
        self.rules: Competition = with_fresh_judge(self.bundle.rules)
        self.base = self.bundle.base
        self.scorer = Scorer(self.rules, self.bundle.references, sampler, judges)
        duel = self.rules.duel
        self.terms = Terms.of(self.rules, alpha_share(duel.alpha, 1, 1, duel.horizon_rounds))
        plan = {part.name: part.per_batch for part in self.rules.slices}
        counts = duel.prompts
        batches = (counts.max + counts.gain) // self.rules.batch_prompts
        self.drawn = draw(self.bundle.pools, plan, SEED, (), batches)
        self.seeds = seeds_of(self.rules, SEED, [prompt for batch in self.drawn for prompt in batch])
        self._samples: dict[CompletionKey, ScoredCompletion] = {}

    def fight(self, checkpoint: Path) -> Fight:
        """Package, admit and duel a checkpoint, as a validator would."""
        try:
            packed = package(checkpoint, checkpoint.with_name(f"{checkpoint.name}.packed"))
            inspect(packed.path, packed.manifest, self.rules, self.bundle.base_table)
            return self.duel(packed.path, packed.manifest.digest)
        except Rejection as rejection:
            return Fight(End("rejected", rejection.code))

    def duel(self, weights: Path, model: Digest) -> Fight:
        """The duel of an admitted checkpoint against the base. Raises Rejection."""
        rows: list[EvidenceRow] = []
        while True:
            decision = decide(self.terms, [Batch.split(self.terms.plan, map(self._row, rows))])
            if isinstance(decision, Carry):
                raise AssertionError("no duel of the red team is carried")
            if isinstance(decision, Verdict):
                gate = dominant_gate([sample for row in rows for sample in row.challenger])
                return Fight(End(decision.outcome, decision.reason, gate), decision, tuple(rows))
            rows += self._answer(weights, model, len(rows), decision.batches)

    def _answer(self, weights: Path, model: Digest, position: int, batches: int) -> list[EvidenceRow]:
        start = position // self.rules.batch_prompts
        prompts = [prompt for batch in self.drawn[start : start + batches] for prompt in batch]
        base = self.rules.base.digest
        ours, theirs = self.seeds
        self._take(weights, model, prompts, ours)
        self._take(self.base, base, prompts, theirs)
        challenger, champion = Side(model, ours, self._samples), Side(base, theirs, self._samples)
        return [evidence_row(prompt, position + i, challenger, champion) for i, prompt in enumerate(prompts)]

    def _take(self, weights: Path, model: Digest, prompts: Sequence[Prompt], seeds: Any) -> None:
        jobs = [Job(prompt, seed) for prompt in prompts for seed in seeds[prompt.id]]
        missing = [job for job in jobs if (model, job.prompt.id, job.seed) not in self._samples]
        for job, sample in zip(missing, self.scorer.evaluate(weights, missing), strict=True):
            self._samples[model, job.prompt.id, job.seed] = sample

    def _row(self, row: EvidenceRow) -> Row:
        return Row(
            slice=row.slice,
            d=row.d,
            d_fresh=fresh_difference(row, self.rules, FRESH),
            extra_tokens=row.extra_tokens,
            kl=row.kl,
            identical=row.identical,
            s_champion=row.s_champion,
        )


def with_fresh_judge(rules: Competition) -> Competition:
    """The rules in the round in which the plain judge first serves."""
    judges = [
        judge.model_copy(update={"from_round": FRESH}) if judge.name == PLAIN else judge
        for judge in rules.judges
    ]
    return rules.model_copy(update={"judges": tuple(judges)})


def dominant_gate(samples: Sequence[ScoredCompletion]) -> str:
    """The gate that stopped most of a policy's answers, if it stopped at least one in five."""
    counts = Counter(gate for sample in samples for gate in sample.gates)
    (gate, count), *_ = [*counts.most_common(1), ("", 0)]
    return gate if count >= DOMINANT * len(samples) else ""
