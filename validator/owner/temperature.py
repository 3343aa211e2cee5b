"""The temperature check: whether the base would score better, had it been sampled at a lower temperature.

`agon-validator competition build` asks once the bundle is there. Weights can sharpen their own logits, which
samples as a lower temperature does; so what is better here is a gain that a miner can have without learning
anything. It measures and tells; it refuses nothing and changes no rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import structlog
from pydantic import BaseModel, ConfigDict
from scipy.special import stdtrit

from shared.checkpoints.bundle import Bundle
from shared.duels.draw import completion_seed
from shared.duels.scorer import Job, Scorer
from shared.errors import AgonError
from shared.judging.judge import Judges
from shared.protocol.prompt import Prompt
from shared.protocol.wire import digest_of
from shared.sandbox.client import JudgeChild, SamplerChild
from shared.stats.rows import Floats, Plan, batch_size
from shared.types import SliceName
from validator.owner.build import spread

log = structlog.get_logger()

FRACTIONS = (0.75, 0.5, 0.25)
"""Lower temperatures that are tried, as fractions of the rules' own."""
DIGITS = 4
"""Decimals of a temperature that is tried, so that an owner can write it into the rules."""
MISS = 0.05
"""Chance that any of the intervals misses."""

Scores = Mapping[SliceName, Sequence[float]]
"""The base's scores, one a prompt, by slice; the same prompts in the same order at every temperature."""


class Reading(BaseModel):
    """The base at one lower temperature, beside itself at the temperature of the rules."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    temperature: float
    mean: float
    """Mean score; each slice counts by its weight, as in a duel."""
    difference: float
    """Mean rise over the rules' temperature, paired by prompt."""
    lower: float
    upper: float
    """Interval of the difference; all intervals hold together with probability 95%."""

    @property
    def rise(self) -> str:
        """The difference with its interval, for people."""
        return f"{self.difference:+.3f} [{self.lower:+.3f}, {self.upper:+.3f}]"


def compare(plan: Plan, at_rule: Scores, at_lower: Mapping[float, Scores]) -> tuple[Reading, ...]:
    """A reading of each lower temperature, highest first; pure.

    Stratified mean of paired differences with Student's t at the degrees of freedom of the smallest slice
    (too few rather than too many), Bonferroni over the temperatures. A slice with one prompt proves nothing.
    Raises ValueError unless all scores lie in [0, 1] and belong to the same prompts.
    """
    shares = {name: count / batch_size(plan) for name, count in plan}
    rule = _checked(plan, at_rule)
    readings = []
    for temperature in sorted(at_lower, reverse=True):
        scores = _checked(plan, at_lower[temperature])
        if any(len(scores[name]) != len(rule[name]) for name in shares):
            raise ValueError("scores of two temperatures belong to other prompts")
        rises = {name: scores[name] - rule[name] for name in shares}
        middle = math.fsum(share * float(rises[name].mean()) for name, share in shares.items())
        half = _half_width(shares, rises, MISS / len(at_lower))
        readings.append(
            Reading(
                temperature=temperature,
                mean=math.fsum(share * float(scores[name].mean()) for name, share in shares.items()),
                difference=middle,
                lower=max(-1.0, middle - half),
                upper=min(1.0, middle + half),
            )
        )
    return tuple(readings)


def best_of(readings: Sequence[Reading]) -> Reading | None:
    """The reading that is proven better by most; none when no interval lies above 0."""
    proven = [reading for reading in readings if reading.lower > 0.0]
    return max(proven, key=lambda reading: reading.lower, default=None)


def finding_of(rule: float, best: Reading) -> AgonError:
    """What the owner is told about a better temperature: a finding with a code, never raised."""
    places = f"at temperature {best.temperature:g} compared with {rule:g} of the rules"
    message = f"the base scores {best.rise} {places}"
    return AgonError("temperature_too_high", message)


def check_temperature(
    bundle: Bundle, prompts: Sequence[Prompt], per_slice: int
) -> tuple[tuple[Reading, ...], AgonError | None]:
    """Sample the base of a bundle at its temperature and at lower ones, and say whether one is better.

    `prompts` are in no pool; `per_slice` of each slice are answered once a temperature, with the same seed,
    on draws that had no part in the reference. The likelihood gate is taken at the temperature sampled, where
    a policy with sharpened logits meets it at the rules' own. Raises what sampler and judges raise.
    """
    rules = bundle.rules
    own = rules.sampling.temperature
    root = digest_of({"temperature": rules.name, "base": rules.base.digest})
    chosen = [
        prompt
        for part in rules.slices
        for prompt in spread([one for one in prompts if one.slice == part.name], per_slice)
    ]
    jobs = [Job(prompt, completion_seed(root, prompt.id, 0)) for prompt in chosen]
    with JudgeChild(bundle.judges, terms=rules.judges, threads=rules.sampling.engine.threads) as judges:
        at_rule = _scores_at(bundle, judges, own, jobs)
        lower = [round(own * part, DIGITS) for part in FRACTIONS]
        at_lower = {temperature: _scores_at(bundle, judges, temperature, jobs) for temperature in lower}
    plan = tuple((part.name, part.per_batch) for part in rules.slices)
    readings = compare(plan, at_rule, at_lower)
    best = best_of(readings)
    finding = None if best is None else finding_of(own, best)
    if finding is not None:
        log.warning("temperature improves the base", code=finding.code, found=finding.message)
    return readings, finding


def _scores_at(bundle: Bundle, judges: Judges, temperature: float, jobs: Sequence[Job]) -> Scores:
    sampling = bundle.rules.sampling.model_copy(update={"temperature": temperature})
    with SamplerChild(bundle.base, sampling) as sampler:
        samples = Scorer(bundle.rules, bundle.references, sampler, judges).evaluate(bundle.base, jobs)
    scores: dict[SliceName, list[float]] = {part.name: [] for part in bundle.rules.slices}
    for job, sample in zip(jobs, samples, strict=True):
        scores[job.prompt.slice].append(sample.s)
    log.info("temperature measured", temperature=temperature, answers=len(samples))
    return scores


def _checked(plan: Plan, scores: Scores) -> dict[SliceName, Floats]:
    found = {name: np.asarray(scores.get(name, ()), dtype=np.float64) for name, _ in plan}
    if any(not len(values) or not bool(((values >= 0) & (values <= 1)).all()) for values in found.values()):
        raise ValueError("every slice needs scores, and scores lie in [0, 1]")
    return found


def _half_width(
    shares: Mapping[SliceName, float],
    rises: Mapping[SliceName, Floats],
    miss: float,
) -> float:
    """Half of a two-sided interval that misses with probability `miss`; infinite with one prompt."""
    fewest = min(map(len, rises.values()))
    if fewest < 2:
        return math.inf
    variance = math.fsum(
        share**2 * float(rises[name].var(ddof=1)) / len(rises[name]) for name, share in shares.items()
    )
    return float(stdtrit(fewest - 1, 1 - miss / 2)) * math.sqrt(variance)
