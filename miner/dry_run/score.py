"""Scoring: what a duel would say of a checkpoint, estimated on public prompts before anything is paid.

`agon-miner score` and the unattended loop call it. Rows, statistics and rule are the validators' own
lines; only prompts and judges differ, so the estimate is as good as the proxy judge is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from miner.dry_run.dry_run import DryRun
from miner.dry_run.opponent import Conditions
from shared.checkpoints.allowlist import WEIGHTS_NAME
from shared.checkpoints.files import hash_file, open_regular
from shared.duels.rows import Side, evidence_row, fresh_difference, seeds_of, statistic
from shared.errors import Rejection
from shared.protocol.evidence import EvidenceRow
from shared.protocol.verdict import Verdict
from shared.protocol.wire import DigestField, Wire
from shared.stats.duel import Terms, decide
from shared.stats.eprocess import alpha_share
from shared.stats.forecast import INTERVAL_QUANTILE, Forecast, forecast
from shared.stats.rows import Batch, Floats, Row, batch_means, mean_and_error, slice_means
from shared.types import Digest, RoundNumber, SliceName

FIRST_ROUND = RoundNumber(0)
"""Every judge of a dry run serves from here."""


class SliceScore(Wire):
    """One slice of the dry run."""

    name: SliceName
    prompts: int
    mean: float
    lower: float
    upper: float
    """Two-sided 90% interval of mean d."""


class Score(Wire):
    """What the dry run found, and the chance that it gives a real duel."""

    checkpoint: DigestField
    """sha256 of the tensors file."""
    against: str
    opponent: DigestField
    judges: tuple[str, ...]
    prompts: int
    mean: float
    """Mean d."""
    lower: float
    upper: float
    """Two-sided 90% interval of mean d."""
    win_rate: float
    s_checkpoint: float
    s_opponent: float
    slices: tuple[SliceScore, ...]
    kl: float
    """Nats per completion; `kl_budget` is allowed."""
    kl_budget: float
    extra_tokens: float
    """Mean length difference to the opponent, tokens."""
    gates: dict[str, int]
    """Completions of the checkpoint that each gate closed on."""
    opponent_gates: dict[str, int]
    verdict: Verdict | None
    """What the duel's own rule says of these rows; none while it would want more of them."""
    trial: int
    slots: int
    alpha: float
    conditions: str
    """Where `trial` and `slots` come from."""
    chance_first: float = Field(ge=0, le=1)
    """Chance to win the duel in its first round."""
    chance: float = Field(ge=0, le=1)
    """Chance to win it at all, in at most `rounds` rounds."""
    chance_error: float
    """Standard error of `chance` from the number of simulated duels."""
    rounds: int
    prompts_to_win: int | None
    """Median prompts of the simulated duels that were won."""
    ends: dict[str, float]
    """How the simulated duels ended, as shares."""


def tensors_digest(directory: Path) -> Digest:
    """sha256 of the tensors file of a checkpoint. Raises Rejection `architecture_mismatch` without one."""
    try:
        with open_regular(directory, WEIGHTS_NAME) as file:
            return hash_file(file)[1]
    except OSError as error:
        message = f"{directory / WEIGHTS_NAME} cannot be read: {error.strerror}"
        raise Rejection("architecture_mismatch", message) from error


def score(
    dry_run: DryRun,
    checkpoint: Path,
    opponent: Path,
    conditions: Conditions,
    *,
    against: str,
    runs: int,
    seed: int,
) -> Score:
    """Play the dry run and forecast the duel. Raises Rejection for tensors that cannot be scored."""
    ours, theirs = tensors_digest(checkpoint), tensors_digest(opponent)
    challenger_seeds, champion_seeds = seeds_of(dry_run.rules, dry_run.seed, dry_run.prompts)
    # the opponent first: its completions are worth keeping even when the checkpoint cannot be scored
    champion = Side(theirs, champion_seeds, dry_run.completions(theirs, opponent, champion_seeds))
    challenger = Side(ours, challenger_seeds, dry_run.completions(ours, checkpoint, challenger_seeds))
    rows = [evidence_row(p, i, challenger, champion) for i, p in enumerate(dry_run.prompts)]
    duel = dry_run.rules.duel
    alpha = alpha_share(duel.alpha, conditions.trial, conditions.slots, duel.horizon_rounds)
    terms = Terms.of(dry_run.rules, alpha)
    batches = Batch.split(terms.plan, [_reduce(dry_run, row) for row in rows])
    chances = forecast(terms, batches, np.random.default_rng(seed), runs=runs)
    return Score.model_validate(
        {
            "checkpoint": ours,
            "against": against,
            "opponent": theirs,
            "judges": tuple(term.name for term in dry_run.rules.judges),
            **_measures(dry_run, rows, terms),
            **_chances(chances, terms),
            "gates": _gates(challenger),
            "opponent_gates": _gates(champion),
            "verdict": dry_verdict(terms, batches),
            "trial": conditions.trial,
            "slots": conditions.slots,
            "alpha": alpha,
            "conditions": conditions.source,
        }
    )


def dry_verdict(terms: Terms, batches: Sequence[Batch]) -> Verdict | None:
    """What `decide` says of the dry run as one round; none while it asks for more prompts."""
    size = sum(count for _, count in terms.plan)
    step = decide(terms, [batches[: (terms.max + terms.gain) // size]])
    return step if isinstance(step, Verdict) else None


def _reduce(dry_run: DryRun, row: EvidenceRow) -> Row:
    return statistic(row, fresh_difference(row, dry_run.rules, FIRST_ROUND))


def _measures(dry_run: DryRun, rows: Sequence[EvidenceRow], terms: Terms) -> dict[str, object]:
    d = np.array([row.d for row in rows])
    wins = sum(1.0 if row.d > 0.0 else 0.5 if row.d == 0.0 else 0.0 for row in rows)
    counts = dict(terms.plan)
    slices = [
        SliceScore(name=name, prompts=len(means) * counts[name], **_interval(means))
        for name, means in slice_means(d, terms.plan).items()
    ]
    return {
        "prompts": len(rows),
        **_interval(batch_means(d, terms.plan)),
        "win_rate": wins / len(rows),
        "s_checkpoint": _mean([row.s_challenger for row in rows]),
        "s_opponent": _mean([row.s_champion for row in rows]),
        "slices": tuple(slices),
        "kl": _mean([row.kl for row in rows]),
        "kl_budget": dry_run.rules.judging.kl_budget,
        "extra_tokens": _mean([row.extra_tokens for row in rows]),
    }


def _chances(found: Forecast, terms: Terms) -> dict[str, object]:
    return {
        "chance_first": found.win_first,
        "chance": found.win,
        "chance_error": found.win_error,
        "rounds": terms.carried_rounds + 1,
        "prompts_to_win": found.prompts_to_win,
        "ends": dict(found.reasons),
    }


def _interval(means: Floats) -> dict[str, float]:
    mean, error = mean_and_error(means)
    reach = INTERVAL_QUANTILE * error
    return {"mean": mean, "lower": max(-1.0, mean - reach), "upper": min(1.0, mean + reach)}


def _gates(side: Side) -> dict[str, int]:
    asked = [side.scored[side.model, prompt, seed] for prompt, seeds in side.seeds.items() for seed in seeds]
    return dict(sorted(Counter(gate for one in asked for gate in one.gates).items()))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
