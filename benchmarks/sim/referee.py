"""A validator's bench over a whole bundle, for benchmarks that hold checkpoints to the held-out judges.

Draw, scorer and rule are the product's own. Every completion is kept in memory while the referee lives, so
the base completes each prompt once, however many checkpoints meet it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miner.dry_run.opponent import Conditions
from miner.dry_run.score import tensors_digest
from shared.checkpoints.bundle import Bundle
from shared.duels.draw import draw
from shared.duels.rows import CompletionKey, Side, evidence_row, fresh_difference, seeds_of, statistic
from shared.duels.scorer import Job, Scorer
from shared.protocol.evidence import EvidenceRow, ScoredCompletion
from shared.protocol.prompt import Prompt
from shared.protocol.verdict import Verdict
from shared.protocol.wire import digest_of
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.stats.duel import More, Terms, decide
from shared.stats.eprocess import alpha_share
from shared.stats.rows import Batch, batch_means, mean_and_error, slice_means
from shared.types import Digest, RoundNumber, SliceName

CONDITIONS = Conditions(trial=1, slots=2, source="the benchmark's")
FIRST_ROUND = RoundNumber(0)
AHEAD_PROMPTS = 64
"""Prompts answered at once: a batch costs little more than one look."""


@dataclass(frozen=True)
class Measured:
    """A checkpoint against the base on prompts of the held-out pool."""

    mean: float
    """Mean d."""
    error: float
    """Its standard error over batches."""
    slices: dict[SliceName, float]
    kl: float
    """Nats per completion to the base."""


class Referee:
    """Plays duels of one checkpoint after another against the base."""

    def __init__(self, bundle: Bundle, scorer: Scorer) -> None:
        self._bundle = bundle
        self._scorer = scorer
        self._samples: dict[CompletionKey, ScoredCompletion] = {}
        self._digests: dict[Path, Digest] = {}
        self._plan = Terms.of(bundle.rules, bundle.rules.duel.alpha).plan

    def play(self, checkpoint: Path, seed: int) -> Verdict:
        """One duel against the base to its verdict, on the draws of as many rounds as it takes."""
        rules, duel = self._bundle.rules, self._bundle.rules.duel
        alpha = alpha_share(duel.alpha, CONDITIONS.trial, CONDITIONS.slots, duel.horizon_rounds)
        terms = Terms.of(rules, alpha)
        most = (duel.prompts.max + duel.prompts.gain) // rules.batch_prompts
        rounds: list[list[Batch]] = []
        while True:
            root = digest_of({"duel": seed, "round": len(rounds)})
            drawn = self._draw(root, most)
            rounds.append([])
            while isinstance(step := decide(terms, rounds), More):
                done = len(rounds[-1])
                asked = [prompt for batch in drawn[done : done + step.batches] for prompt in batch]
                ahead = [prompt for batch in drawn[done:] for prompt in batch][:AHEAD_PROMPTS]
                rounds[-1] += self._batches(self._answer(checkpoint, asked, root, ahead))
            if isinstance(step, Verdict):
                return step

    def measure(self, checkpoint: Path, prompts: int, seed: int) -> Measured:
        """Mean d on about so many prompts, whole batches; the same prompts for every checkpoint."""
        root = digest_of({"measure": seed})
        batches = self._draw(root, prompts // self._bundle.rules.batch_prompts)
        rows = self._answer(checkpoint, [prompt for batch in batches for prompt in batch], root)
        d = np.array([row.d for row in rows])
        mean, error = mean_and_error(batch_means(d, self._plan))
        slices = {name: float(means.mean()) for name, means in slice_means(d, self._plan).items()}
        return Measured(mean, error, slices, float(np.mean([row.kl for row in rows])))

    def _digest_of(self, checkpoint: Path) -> Digest:
        if checkpoint not in self._digests:
            self._digests[checkpoint] = tensors_digest(checkpoint)
        return self._digests[checkpoint]

    def _draw(self, root: Digest, batches: int) -> tuple[tuple[Prompt, ...], ...]:
        per_batch = {part.name: part.per_batch for part in self._bundle.rules.slices}
        return draw(self._bundle.pools, per_batch, root, (), batches)

    def _batches(self, rows: Sequence[EvidenceRow]) -> tuple[Batch, ...]:
        rules = self._bundle.rules
        found = [statistic(row, fresh_difference(row, rules, FIRST_ROUND)) for row in rows]
        return Batch.split(self._plan, found)

    def _answer(
        self, checkpoint: Path, prompts: Sequence[Prompt], root: Digest, ahead: Sequence[Prompt] = ()
    ) -> list[EvidenceRow]:
        """Rows of `prompts`; where a completion is missing, those of `ahead` are drawn with it."""
        every = {prompt.id: prompt for prompt in (*prompts, *ahead)}
        seeds = seeds_of(self._bundle.rules, root, list(every.values()))
        sides = []
        for weights, own in zip((checkpoint, self._bundle.base), seeds, strict=True):
            model = self._digest_of(weights)
            wanted = [(model, prompt.id, value) for prompt in prompts for value in own[prompt.id]]
            if not all(key in self._samples for key in wanted):
                keys = [(model, prompt, value) for prompt in every for value in own[prompt]]
                missing = [key for key in keys if key not in self._samples]
                jobs = [Job(every[prompt], value) for _, prompt, value in missing]
                self._samples |= dict(zip(missing, self._scorer.evaluate(weights, jobs), strict=True))
            sides.append(Side(model, own, self._samples))
        return [evidence_row(prompt, index, *sides) for index, prompt in enumerate(prompts)]


@contextmanager
def referee(bundle: Bundle) -> Iterator[Referee]:
    """A referee whose children end with it."""
    with (
        closing(SamplerChild(bundle.base, bundle.rules.sampling)) as sampler,
        closing(
            JudgeChild(bundle.judges, terms=bundle.rules.judges, threads=bundle.rules.sampling.engine.threads)
        ) as judges,
    ):
        yield Referee(bundle, Scorer(bundle.rules, bundle.references, sampler, judges))
