"""Evidence of a duel: completions, scored samples and rows, as they are stored, hashed and replayed.

A row is one prompt seen by both sides. Rows are the leaves of a statement's Merkle root, so their
form is settled here once. All numbers are finite by construction.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.protocol.statement import Signed
from shared.protocol.wire import DigestField, Wire
from shared.types import PromptId, RoundNumber, SliceName

NOT_TEXT = "\ufffd"
"""Stands in a completion's text for every special token, so that a gate sees it."""


class Completion(Wire):
    """What a policy answered to one prompt under one seed."""

    token_ids: tuple[int, ...]
    """Without the prompt; the stop token is kept when one was drawn."""
    text: str
    finished: bool
    """Whether a stop token was drawn inside the token limit."""
    logprob: float
    """Sum over tokens of the policy's log-probability at the sampling temperature, nats."""
    base_logprob: float
    """The same tokens under the base model, nats."""

    @property
    def kl(self) -> float:
        """One-sample estimate of KL(policy || base) on this completion, nats."""
        return self.logprob - self.base_logprob


class ScoredCompletion(Wire):
    """A completion with every term of its score."""

    completion: Completion
    gates: tuple[str, ...] = ()
    """Names of the gates that closed on it, sorted."""
    raw: dict[str, float] = {}
    """Judge name to raw reward r."""
    z: dict[str, float] = {}
    """Judge name to standardised, length-residualised reward."""
    u: float | None = None
    """Ensemble score; none on verifier slices."""
    s: float = Field(ge=0, le=1)
    """Final score."""


class EvidenceRow(Wire):
    """One prompt of a duel, both sides."""

    position: int = Field(ge=0)
    prompt: PromptId
    slice: SliceName
    challenger: tuple[ScoredCompletion, ...] = Field(min_length=1)
    champion: tuple[ScoredCompletion, ...] = Field(min_length=1)
    challenger_seeds: tuple[int, ...]
    champion_seeds: tuple[int, ...]
    challenger_model: DigestField
    champion_model: DigestField

    @property
    def s_challenger(self) -> float:
        """Mean score of the challenger's samples."""
        return _mean(self.challenger)

    @property
    def s_champion(self) -> float:
        """Mean score of the champion's samples."""
        return _mean(self.champion)

    @property
    def d(self) -> float:
        """Score difference in [-1, 1]."""
        return self.s_challenger - self.s_champion

    @property
    def identical(self) -> bool:
        """Whether the sides answered token by token alike, on the seeds that both used."""
        pairs = zip(self.challenger, self.champion, strict=False)
        return all(ours.completion.token_ids == theirs.completion.token_ids for ours, theirs in pairs)

    @property
    def extra_tokens(self) -> float:
        """Mean completion length of the challenger minus the champion's, tokens."""
        return _mean_length(self.challenger) - _mean_length(self.champion)

    @property
    def kl(self) -> float:
        """Mean KL estimate of the challenger's completions, nats."""
        return sum(sample.completion.kl for sample in self.challenger) / len(self.challenger)


class Evidence(Wire):
    """Everything that one duel was decided on, with the signed statement that tells how it ended."""

    version: Literal["agon-evidence/1"] = "agon-evidence/1"
    statement: Signed
    duel: str
    rounds: dict[RoundNumber, int]
    """Rows that the duel took in each of its rounds."""
    rows: tuple[EvidenceRow, ...]

    @property
    def by_round(self) -> dict[RoundNumber, tuple[EvidenceRow, ...]]:
        """The rows of each round, rounds in order. JSON sorts their numbers as text: "10" before "9"."""
        taken: dict[RoundNumber, tuple[EvidenceRow, ...]] = {}
        start = 0
        for number in sorted(self.rounds):
            taken[number] = self.rows[start : start + self.rounds[number]]
            start += self.rounds[number]
        return taken


def _mean(samples: tuple[ScoredCompletion, ...]) -> float:
    return sum(sample.s for sample in samples) / len(samples)


def _mean_length(samples: tuple[ScoredCompletion, ...]) -> float:
    return sum(len(sample.completion.token_ids) for sample in samples) / len(samples)
