"""Verdicts: how a duel ended, with the interval that the miner is told and the reason in one code.

The statistics write them, the ledger keeps them for ever, the API shows them at once.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.protocol.wire import Wire
from shared.types import SliceName

Outcome = Literal["won", "lost", "unproven"]

Reason = Literal[
    "confirmed",  # won: crossed the threshold and stood on fresh rows
    "worse",  # lost: the anytime upper bound is below zero
    "futile",  # unproven: an effect as large as planned is ruled out
    "indistinguishable",  # unproven: token-identical completions
    "exhausted",  # unproven: all carried rounds used up
    "gain_below_margin",  # unproven: the fresh rows do not bear the gain out
    "slice_worse",  # unproven: a slice is not proven to be no worse
    "fresh_judge",  # unproven: not better under the freshest judge alone
    "length",  # unproven: not better after regression on length
    "kl_budget",  # unproven: too far from the base
]

PUBLISHED_PROMPTS = 16
"""Fewest prompts of a slice whose mean is told while its rows are sealed."""


class SliceResult(Wire):
    """One slice over the confirmation rows, or over all rows before there are any."""

    name: SliceName
    prompts: int = Field(ge=0)
    mean: float
    lower: float
    """mean - 1.645 standard errors."""


class Verdict(Wire):
    """The end of one duel."""

    outcome: Outcome
    reason: Reason
    prompts: int = Field(ge=0)
    """Rows used in all, confirmation included."""
    mean: float
    """Mean d over the test rows, before any confirmation."""
    lower: float
    upper: float
    """Anytime confidence bounds for mean d at level 1 - alpha, valid at every look."""
    win_rate: float = Field(ge=0, le=1)
    """Share of rows with d > 0, ties counted half; reported, decides nothing."""
    gain: float = Field(default=0.0, ge=0)
    """Proven gain in probit units; 0 unless won."""
    gain_bound: float | None = None
    """One-sided 90% lower bound of mean d over the fresh rows; none without confirmation."""
    champion_mean: float | None = None
    """Champion's mean score on the same fresh rows."""
    alpha: float
    """This duel's share of the error budget."""
    log_wealth: float
    """Natural log of the e-value against H0 at the last test look; the threshold is -log(alpha)."""
    slices: tuple[SliceResult, ...] = ()
    kl: float
    """Mean KL to the base over all rows, nats per completion."""
    extra_tokens: float
    """Mean length difference to the champion, tokens."""

    def published(self) -> Verdict:
        """The verdict as it is told while its rows are sealed: slice numbers to 0.01, none over few prompts.

        Finer means, or means over fewer prompts, would let a miner read single scores off them.
        """
        slices = tuple(
            part.model_copy(update={"mean": round(part.mean, 2), "lower": round(part.lower, 2)})
            for part in self.slices
            if part.prompts >= PUBLISHED_PROMPTS
        )
        return self.model_copy(update={"slices": slices})
