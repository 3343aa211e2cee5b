"""Reference statistics of one slice, frozen when a competition is built.

They are measured on the base model's own completions and turn raw judge rewards into z, u and s.
Verifier slices use the gate limits only. The digest of this document is in the rules.
"""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, field_validator

from shared.protocol.wire import Wire
from shared.types import SliceName


class JudgeReference(Wire):
    """One judge's rewards on the reference completions."""

    mean: float
    sd: float = Field(gt=0)
    length_curve: tuple[tuple[float, float], ...] = ()
    """What the judge pays for length: points (x, z), x = (length - len_x) / tau, both never falling; flat
    beyond its ends. Empty for a judge that does not prefer long answers."""

    @field_validator("length_curve")
    @classmethod
    def _rising(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if any(one[0] >= other[0] or one[1] > other[1] for one, other in pairwise(points)):
            raise ValueError("a length curve must have rising lengths and never fall")
        return points


class LengthReference(Wire):
    """Lengths of the reference completions, in tokens."""

    mean: float
    """len_x for clusters without a mean of their own."""
    within_sd: float = Field(gt=0)
    """tau: within-prompt standard deviation."""
    low: float
    """1st percentile; shorter completions are gated."""
    high: float
    """99th percentile; longer completions are gated."""
    cluster_means: dict[str, float] = {}


class Reference(Wire):
    """All reference statistics of one slice."""

    slice: SliceName
    completions: int = Field(ge=2)
    """How many reference completions were measured."""
    judges: dict[str, JudgeReference] = {}
    lengths: LengthReference
    u_all: tuple[float, ...] = ()
    """Sorted ensemble scores of the reference completions: the table of phi."""
    u_clusters: dict[str, tuple[float, ...]] = {}
    """The same per cluster, where a cluster has at least 64."""
    nll_high: float
    """Upper gate on the base model's mean negative log-likelihood, nats per token."""
    s_mean: float = Field(ge=0, le=1)
    """Mean score of the base on this slice."""

    @field_validator("u_all")
    @classmethod
    def _sorted(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if list(values) != sorted(values):
            raise ValueError("reference scores must be sorted")
        return values
