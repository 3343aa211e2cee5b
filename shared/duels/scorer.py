"""The scorer: one policy and prompts in, scored completions out, with every term visible.

Validator and miner score with these lines and no others, so a dry run means what a duel will mean.
Sampler and judges are handed in; nothing here loads a model or reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.duels.draw import completion_seed
from shared.engines.engine import CompletionJob, Engine
from shared.errors import AgonError
from shared.judging.gates import closed_gates
from shared.judging.judge import Judges
from shared.judging.reference import build_reference, mean
from shared.judging.score import aggregate, gated_score, judge_z, percentile
from shared.judging.verifiers import find_verifier, verify
from shared.protocol.competition import RULES_VERSION, Competition, JudgeTerm, Judging
from shared.protocol.evidence import Completion, ScoredCompletion
from shared.protocol.prompt import Prompt
from shared.protocol.reference import Reference
from shared.protocol.wire import digest_of
from shared.types import Digest, JudgeName, SliceName

JUDGED = "judges"
"""Kind of a slice that the judges score."""


@dataclass(frozen=True)
class Job:
    """One completion to draw and score."""

    prompt: Prompt
    seed: int


@dataclass(frozen=True)
class Scale:
    """What turns a completion of one slice into a score."""

    kind: str
    reference: Reference
    coefficients: Mapping[JudgeName, float]
    judging: Judging
    rules_version: int = RULES_VERSION


class Scorer:
    """A competition's rules with its references, an engine and judges, ready to score any policy."""

    def __init__(
        self,
        rules: Competition,
        references: Mapping[SliceName, Reference],
        engine: Engine | None,
        judges: Judges,
        *,
        terms: Sequence[JudgeTerm] | None = None,
    ) -> None:
        """`terms` are the judges that serve this round, by default all of the rules. Without an engine only
        what is drawn already can be scored.

        Raises AgonError `bundle_damaged` unless every slice has the reference that the rules name.
        """
        for part in rules.slices:
            if part.name not in references or digest_of(references[part.name]) != part.reference:
                raise AgonError(
                    "bundle_damaged", f"the reference of slice {part.name} is not the one in the rules"
                )
        self._rules = rules
        self._references = references
        self._engine = engine
        self._judges = judges
        self._coefficients = {
            term.name: term.coefficient for term in (rules.judges if terms is None else terms)
        }
        self._scales = {
            part.name: Scale(
                part.kind, references[part.name], self._coefficients, rules.judging, rules.rules_version
            )
            for part in rules.slices
        }

    def serving(self, terms: Sequence[JudgeTerm]) -> Scorer:
        """The same engine and judges for a round that only `terms` serve."""
        return Scorer(self._rules, self._references, self._engine, self._judges, terms=terms)

    def evaluate(self, checkpoint: Path, jobs: Sequence[Job]) -> list[ScoredCompletion]:
        """One scored completion per job from the policy at `checkpoint`, in order.

        Raises Rejection for a policy that cannot be scored, AgonError for a judge that fails.
        """
        if self._engine is None:
            raise ValueError("a scorer without an engine scores completions, not policies")
        completions = self._engine.complete(
            checkpoint, [CompletionJob(job.prompt.text, job.seed) for job in jobs]
        )
        return self.score([job.prompt for job in jobs], completions)

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[ScoredCompletion]:
        """Score completions that are already drawn; a replay starts here."""
        judged = [i for i, prompt in enumerate(prompts) if self._scales[prompt.slice].kind == JUDGED]
        pairs = [(prompts[i].text, completions[i].text) for i in judged]
        raw: dict[int, dict[JudgeName, float]] = {i: {} for i in range(len(prompts))}
        for name in self._coefficients:
            for i, reward in zip(judged, self._judges.reward(name, pairs) if pairs else [], strict=True):
                raw[i][name] = reward
        return [
            score_completion(prompt, completion, raw[i], self._scales[prompt.slice])
            for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
        ]


def score_completion(
    prompt: Prompt,
    completion: Completion,
    raw: Mapping[JudgeName, float],
    scale: Scale,
) -> ScoredCompletion:
    """Every term of one completion's score; pure.

    On a judged slice s = phi(u), at most the gated percentile behind a closed gate; on a verifier slice
    the verifier's score, 0 behind one of its closed gates. Raises AgonError `judge_non_finite`,
    `bundle_damaged`.
    """
    reference, judging = scale.reference, scale.judging
    verifier = scale.kind.partition(":")[2]
    declared = find_verifier(verifier).gates if verifier else None
    gates = closed_gates(completion, reference, scale.rules_version, declared)
    if verifier:
        s = verify(verifier, completion.text, prompt.params)
        return ScoredCompletion(completion=completion, gates=gates, s=gated_score(s, gates, 0.0))
    unknown = set(raw) - set(reference.judges)
    if unknown or not raw:
        raise AgonError(
            "bundle_damaged", f"slice {reference.slice} has no reference for judges {sorted(unknown)}"
        )
    tokens = len(completion.token_ids)
    z = {
        str(name): judge_z(reward, tokens, prompt.cluster, reference.judges[name], reference.lengths)
        for name, reward in raw.items()
    }
    u = aggregate(
        z,
        {str(name): coefficient for name, coefficient in scale.coefficients.items()},
        judging.disagreement_penalty,
    )
    s = gated_score(percentile(u, prompt.cluster, reference), gates, judging.gated_percentile)
    return ScoredCompletion(
        completion=completion, gates=gates, raw={str(k): v for k, v in raw.items()}, z=z, u=u, s=s
    )


def measure_reference(
    base: Path,
    engine: Engine,
    judges: Judges,
    *,
    coefficients: Mapping[JudgeName, float],
    judging: Judging,
    name: SliceName,
    kind: str,
    prompts: Sequence[Prompt],
    per_prompt: int,
    seed: Digest,
    rules_version: int = RULES_VERSION,
    observe: Callable[[Sequence[ScoredCompletion]], None] | None = None,
) -> Reference:
    """Reference statistics of one slice, from `per_prompt` (two or more) base completions of each prompt.

    For owners, before the rules exist: it takes the pieces of them that it needs. Use prompts
    that are not in the pool. `observe` is handed the completions with their scores and gates. Raises
    AgonError `data_invalid` or `judge_invalid`.
    """
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    jobs = [CompletionJob(p.text, completion_seed(seed, p.id, i)) for p in prompts for i in range(per_prompt)]
    completions = engine.complete(base, jobs)
    pairs = [(prompt.text, completion.text) for prompt, completion in zip(asked, completions, strict=True)]
    used = coefficients if kind == JUDGED else {}
    raw = {judge: judges.reward(judge, pairs) for judge in used}
    reference = build_reference(
        name,
        asked,
        completions,
        raw={str(judge): rewards for judge, rewards in raw.items()},
        coefficients={str(judge): coefficient for judge, coefficient in used.items()},
        judging=judging,
    )
    scale = Scale(kind, reference, used, judging, rules_version)
    scored = [
        score_completion(prompt, completion, {judge: raw[judge][i] for judge in raw}, scale)
        for i, (prompt, completion) in enumerate(zip(asked, completions, strict=True))
    ]
    if observe is not None:
        observe(scored)
    return reference.model_copy(update={"s_mean": mean([sample.s for sample in scored])})
