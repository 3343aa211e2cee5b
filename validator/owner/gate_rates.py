"""How often the gates close on the base itself: rules that gate their own base measure little else.

The build counts them on the reference completions that it draws anyway. Pure; it draws and scores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from shared.errors import AgonError
from shared.protocol.evidence import ScoredCompletion
from shared.types import SliceName

TOLD_ABOVE, REFUSED_ABOVE = 0.10, 0.50
"""Shares of gated base completions in a slice."""
REFUSED_SINCE = 2
"""Version of the rules from which a build refuses; the ones before are told only."""


class GateRates(BaseModel):
    """The base's completions in one slice, and the share of them that each gate closes on."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    slice: SliceName
    completions: int
    any: float
    """Share that at least one gate closes on."""
    gates: dict[str, float]
    """Share by gate, for the gates that close at all."""

    @property
    def rates(self) -> str:
        """The shares for people, the most frequent gate first."""
        if not self.gates:
            return "none"
        by_share = sorted(self.gates.items(), key=lambda item: (-item[1], item[0]))
        return f"{self.any:.0%}: " + ", ".join(f"{name} {share:.1%}" for name, share in by_share)


def rates_of(name: SliceName, scored: Sequence[ScoredCompletion]) -> GateRates:
    """The rates of one slice; `scored` holds one completion at least."""
    counts = Counter(gate for sample in scored for gate in sample.gates)
    return GateRates(
        slice=name,
        completions=len(scored),
        any=sum(bool(sample.gates) for sample in scored) / len(scored),
        gates={gate: counts[gate] / len(scored) for gate in sorted(counts)},
    )


def finding_of(rates: Sequence[GateRates], above: float) -> AgonError | None:
    """What an owner is told of the slices whose base is gated on more than `above`; none if none is."""
    gated = [f"{part.slice} {part.rates}" for part in rates if part.any > above]
    if not gated:
        return None
    message = f"gates close on more than {above:.0%} of the base's own completions: {'; '.join(gated)}"
    return AgonError("base_gated", message)


def check_rates(rates: Sequence[GateRates], rules_version: int) -> AgonError | None:
    """The finding to tell, if there is one. Raises AgonError `base_gated` above the limit of new rules."""
    refused = finding_of(rates, REFUSED_ABOVE)
    if refused is not None and rules_version >= REFUSED_SINCE:
        raise refused
    return finding_of(rates, TOLD_ABOVE)
