"""Manifests on disk: building one from a directory, writing it, and reading one that a stranger wrote.

`agon-miner package`, the bundle and the download call it. It never follows a link and never accepts
two spellings of one manifest: the bytes that are read must be the canonical ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from shared.checkpoints.files import hash_file, open_regular, write_whole
from shared.errors import Rejection
from shared.protocol.loader import field_errors
from shared.protocol.manifest import MANIFEST_NAME, Lineage, Manifest, ManifestFile
from shared.protocol.wire import canonical_json

MANIFEST_LIMIT_BYTES = 256 * 1024
"""Larger manifests are refused unread; a checkpoint's has about 1 KiB."""


def build_manifest(root: Path, *, lineage: Lineage | None = None) -> Manifest:
    """The manifest of every regular file below `root`, except `manifest.json` itself.

    Raises Rejection `file_forbidden` for symbolic links and anything else that is not a regular file,
    `manifest_invalid` for a name that has no canonical form and for a directory without files.
    """
    files = []
    for path in sorted(_walk(root, "")):
        with open_regular(root, path) as file:
            size_bytes, digest = hash_file(file)
        files.append({"path": path, "size_bytes": size_bytes, "digest": digest})
    try:
        entries = tuple(ManifestFile.model_validate(file) for file in files)
        return Manifest(files=entries, lineage=lineage)
    except ValidationError as error:
        raise Rejection("manifest_invalid", f"{root}: {field_errors(error)}") from error


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write `manifest` below `root` in canonical form, atomically."""
    write_whole(root / MANIFEST_NAME, canonical_json(manifest))


def read_manifest(data: bytes) -> Manifest:
    """The manifest in `data`. Raises Rejection `manifest_invalid` unless it is one in canonical form.

    Canonical bytes make the digest of the document the digest of the bytes, and leave no room for
    duplicate keys or for numbers written as text.
    """
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise Rejection("manifest_invalid", f"manifest has more than {MANIFEST_LIMIT_BYTES} bytes")
    try:
        manifest = Manifest.model_validate_json(data)
        canonical = canonical_json(manifest)
    except ValidationError as error:
        raise Rejection("manifest_invalid", f"{MANIFEST_NAME}: {field_errors(error)}") from error
    except ValueError as error:
        # a size beyond 2**53 is an integer to pydantic, but has no canonical form
        raise Rejection("manifest_invalid", f"{MANIFEST_NAME}: {error}") from error
    if canonical != data:
        raise Rejection("manifest_invalid", f"{MANIFEST_NAME} is not in canonical form (RFC 8785)")
    return manifest


def load_manifest(root: Path) -> Manifest:
    """The manifest file below `root`. Raises Rejection `manifest_invalid` when there is none."""
    try:
        with open_regular(root, MANIFEST_NAME) as file:
            data = file.read(MANIFEST_LIMIT_BYTES + 1)
    except OSError as error:
        raise Rejection(
            "manifest_invalid", f"cannot read {root / MANIFEST_NAME}: {error.strerror}"
        ) from error
    return read_manifest(data)


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, path + "/")
            elif not entry.is_file(follow_symlinks=False):
                raise Rejection("file_forbidden", f"{path!r} is a link or a special file")
            elif path != MANIFEST_NAME:
                yield path
