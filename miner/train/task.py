"""What a recipe trains on: base, public prompts, verifiers, proxy judge and sampling rules.

Commands make it from the public copy of a competition's bundle; tests make it by hand. It holds paths and
rules only: nothing here loads a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.checkpoints.bundle import Bundle, read_prompts
from shared.checkpoints.manifest import build_manifest, load_manifest
from shared.protocol.competition import Sampling
from shared.protocol.manifest import MANIFEST_NAME
from shared.protocol.prompt import Prompt
from shared.types import Digest, SliceName


@dataclass(frozen=True)
class TrainingTask:
    """What a competition gives a miner to train with."""

    base: Path
    prompts: Sequence[Prompt]
    """Public prompts."""
    verifiers: Mapping[SliceName, str]
    """Name of the verifier of each slice that has one."""
    proxy: Path
    """Directory of the proxy judge."""
    sampling: Sampling
    start: Path | None = None
    """Checkpoint to start from, such as the champion's; the base when unset."""

    @property
    def parent(self) -> Path:
        """Directory of the checkpoint that training starts from."""
        return self.start or self.base


def task_of(bundle: Bundle, start: Path | None = None) -> TrainingTask:
    """The task of a loaded bundle. Raises AgonError `bundle_damaged` for bad public prompts."""
    kinds = {part.name: part.kind.partition(":") for part in bundle.rules.slices}
    return TrainingTask(
        base=bundle.base,
        prompts=read_prompts(bundle.public / "prompts.jsonl"),
        verifiers={name: verifier for name, (kind, _, verifier) in kinds.items() if kind == "verifier"},
        proxy=bundle.public / "proxy",
        sampling=bundle.rules.sampling,
        start=start,
    )


def checkpoint_digest(directory: Path) -> Digest:
    """Manifest digest of a checkpoint: of its own manifest when it is packaged."""
    packaged = (directory / MANIFEST_NAME).is_file()
    return (load_manifest(directory) if packaged else build_manifest(directory)).digest
