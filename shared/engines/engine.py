"""The seam between what decides and what draws: an engine answers jobs with completions.

The sampler child is one engine; others stand behind the same Protocol. Nothing here loads a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.protocol.evidence import Completion


@dataclass(frozen=True)
class CompletionJob:
    """One completion to draw: the user's message and the seed."""

    text: str
    seed: int


class Engine(Protocol):
    """Draws completions: the sampler child, or anything else that keeps its promises."""

    def complete(self, checkpoint: Path, jobs: Sequence[CompletionJob]) -> list[Completion]:
        """One completion per job from the policy in the directory `checkpoint`, in order."""
