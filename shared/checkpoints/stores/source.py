"""The source: the files that a miner hands over for upload, which must be what the manifest says.

Every store that is written to opens them here; no link is followed.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from shared.checkpoints.files import open_regular
from shared.errors import AgonError
from shared.protocol.manifest import ManifestFile


def open_source(source: Path, file: ManifestFile) -> BinaryIO:
    """A listed file of the source. Raises AgonError `digest_mismatch` when it is not there."""
    try:
        return open_regular(source, file.path)
    except OSError as error:
        message = f"{file.path} cannot be read from {source}: {error.strerror}"
        raise AgonError("digest_mismatch", message) from error


def changed(file: ManifestFile) -> AgonError:
    """The error for a source that is no longer what its manifest says."""
    return AgonError("digest_mismatch", f"{file.path} changed since its manifest was made")
