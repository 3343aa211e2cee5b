"""Checking a checkpoint offline, with the very lines that validators admit checkpoints with.

`agon-miner check` prints everything that is wrong at once; nothing is sent or written. What this finds
acceptable can still be refused for one reason only: its tensors were committed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.checkpoints.admission import findings
from shared.checkpoints.bundle import Bundle
from shared.checkpoints.manifest import build_manifest, load_manifest
from shared.errors import AgonError, Rejection
from shared.protocol.manifest import MANIFEST_NAME, Manifest


@dataclass(frozen=True)
class Report:
    """What admission would say."""

    manifest: Manifest | None
    """None when not even a manifest can be made."""
    findings: tuple[Rejection, ...]

    @property
    def ok(self) -> bool:
        """Whether a validator would admit it."""
        return not self.findings


def check(source: Path, bundle: Bundle) -> Report:
    """Everything that is wrong with the checkpoint in `source`, packaged or not.

    Raises AgonError `usage` when `source` is no directory.
    """
    if not source.is_dir():
        raise AgonError("usage", f"{source} is not a directory")
    found: list[Rejection] = []
    manifest = None
    try:
        manifest = load_manifest(source) if (source / MANIFEST_NAME).exists() else build_manifest(source)
    except Rejection as finding:
        found.append(finding)
    if manifest is None:
        return Report(None, tuple(found))
    return Report(manifest, tuple(findings(source, manifest, bundle.rules, bundle.base_table)))


def refused_when_packaged(found: Sequence[Rejection]) -> list[Rejection]:
    """Of the findings about a trainer's output, those that packaging does not cure by leaving files out."""
    return [finding for finding in found if finding.code not in {"file_forbidden", "too_large"}]
