"""The completion cache: scored completions of dry runs on disk, one file for each policy.

DryRun keeps them below `AGON_STATE`; everything here can be made again, so a file that cannot be read
counts as absent. Old files go when there are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shared.checkpoints.files import write_whole
from shared.duels.rows import CompletionKey
from shared.protocol.evidence import ScoredCompletion
from shared.protocol.wire import Wire, canonical_json
from shared.types import Digest, PromptId

MOST_POLICIES = 12
"""Policies whose completions are kept; the one unused for longest goes first."""


class _Kept(Wire):
    prompt: PromptId
    seed: int
    completion: ScoredCompletion


KEPT: TypeAdapter[tuple[_Kept, ...]] = TypeAdapter(tuple[_Kept, ...])


@dataclass(frozen=True)
class CompletionCache:
    """One folder of completions under one set of prompts, judges and seeds."""

    folder: Path

    def load(self, model: Digest) -> dict[CompletionKey, ScoredCompletion]:
        """What is kept of a policy."""
        path = self._path(model)
        try:
            rows = KEPT.validate_json(path.read_bytes())
            path.touch()
        except (FileNotFoundError, ValidationError):
            return {}
        return {(model, row.prompt, row.seed): row.completion for row in rows}

    def save(self, model: Digest, scored: Mapping[CompletionKey, ScoredCompletion]) -> None:
        """Keep all of a policy's completions, atomically."""
        rows = [
            {"prompt": prompt, "seed": seed, "completion": completion.model_dump(mode="json")}
            for (_, prompt, seed), completion in scored.items()
        ]
        write_whole(self._path(model), canonical_json(rows))
        kept = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-MOST_POLICIES]:
            old.unlink(missing_ok=True)

    def _path(self, model: Digest) -> Path:
        return self.folder / f"{model.removeprefix('sha256:')[:32]}.json"
