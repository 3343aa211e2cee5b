"""Packaging: from a training output to a directory that can be committed.

Copies the files that a checkpoint may have, writes the manifest last, and says what it left behind. The
files are copied, never linked: a trainer that writes on must not change what a commitment pins.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.checkpoints.allowlist import ALLOWED_NAMES, WEIGHTS_NAME
from shared.checkpoints.manifest import build_manifest, write_manifest
from shared.errors import AgonError, Rejection
from shared.protocol.loader import field_errors
from shared.protocol.manifest import MANIFEST_NAME, Lineage, Manifest

LINEAGE_NAME = "lineage.json"
"""Trainers leave it beside their tensors; it goes into the manifest."""


@dataclass(frozen=True)
class Package:
    """A packaged checkpoint."""

    path: Path
    manifest: Manifest
    left_out: tuple[str, ...]
    """Names in the source that no checkpoint may have."""


def package(source: Path, out: Path, *, lineage: Lineage | None = None) -> Package:
    """Package the checkpoint in `source` into `out`. Repeating it gives the same package.

    Raises Rejection `architecture_mismatch` without `model.safetensors`, AgonError `usage` when `source`
    is no directory or `out` holds anything else.
    """
    if not source.is_dir():
        raise AgonError("usage", f"{source} is not a directory")
    names = sorted(path.name for path in source.iterdir())
    if WEIGHTS_NAME not in names:
        raise Rejection(
            "architecture_mismatch",
            f"{source} has no {WEIGHTS_NAME}",
            help="save the model with safetensors, in one file",
        )
    _require_ours(out)
    out = out.resolve()
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in ALLOWED_NAMES & set(names):
        shutil.copyfile(source / name, draft / name)
    manifest = build_manifest(draft, lineage=lineage)
    write_manifest(draft, manifest)
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    left_out = (name for name in names if name not in ALLOWED_NAMES | {MANIFEST_NAME, LINEAGE_NAME})
    return Package(out, manifest, tuple(left_out))


def read_lineage(source: Path, file: Path | None) -> Lineage | None:
    """The lineage in `file`, or in `lineage.json` of the source when there is one.

    Raises AgonError `data_invalid` naming the wrong field.
    """
    path = file or source / LINEAGE_NAME
    if file is None and not path.is_file():
        return None
    try:
        return Lineage.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AgonError("data_invalid", f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise AgonError("data_invalid", f"{path}: {field_errors(error)}") from error


def _require_ours(out: Path) -> None:
    """Only an empty directory or an earlier package may be written over."""
    if not out.exists():
        return
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    if names and (MANIFEST_NAME not in names or names - ALLOWED_NAMES - {MANIFEST_NAME}):
        help_line = "choose a new directory for --out"
        raise AgonError("usage", f"{out} exists and is not a package", help=help_line)
