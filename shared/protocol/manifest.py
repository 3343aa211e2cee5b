"""The manifest of a checkpoint: every file with size and digest, and where the tensors came from.

A commitment pins its digest; the download streams against it. Paths are relative, sorted and unique,
so a checkpoint has exactly one manifest. Nothing here touches a file.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pydantic import Field, field_validator

from shared.protocol.wire import DigestField, Wire, digest_of
from shared.types import Digest

MANIFEST_NAME = "manifest.json"


class ManifestFile(Wire):
    """One file of a checkpoint."""

    path: str = Field(min_length=1, max_length=200)
    """Relative POSIX path below the checkpoint's root."""
    size_bytes: int = Field(ge=0)
    digest: DigestField

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        plain = "\\" not in path and "\0" not in path and str(PurePosixPath(path)) == path
        if not plain or path.startswith("/") or any(part in {"..", "."} for part in parts):
            raise ValueError(f"path leaves the checkpoint or is not canonical: {path!r}")
        return path


class Lineage(Wire):
    """Where a checkpoint says that it came from: shown to people, never a rule's input."""

    parent: DigestField
    """Manifest digest of the checkpoint that training started from."""
    recipe: str = Field(max_length=40)
    config: DigestField
    """Digest of the recipe's configuration."""


class Manifest(Wire):
    """All files of one checkpoint, sorted by path."""

    version: str = Field(default="agon-manifest/1", pattern=r"^agon-manifest/1$")
    files: tuple[ManifestFile, ...] = Field(min_length=1)
    lineage: Lineage | None = None

    @field_validator("files")
    @classmethod
    def _sorted_and_unique(cls, files: tuple[ManifestFile, ...]) -> tuple[ManifestFile, ...]:
        paths = [file.path for file in files]
        if paths != sorted(set(paths)):
            raise ValueError("files must be sorted by path and unique")
        if MANIFEST_NAME in paths:
            raise ValueError("a manifest does not list itself")
        return files

    @property
    def digest(self) -> Digest:
        """The digest that a commitment binds."""
        return digest_of(self)

    @property
    def total_bytes(self) -> int:
        """Sum of all file sizes."""
        return sum(file.size_bytes for file in self.files)
