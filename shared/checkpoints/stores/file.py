"""The file store: a directory below a root that miners and validators of one machine share.

It serves `file:` locators on embedded and local networks. Nothing in it is private, so nothing is brought
before it is published.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from shared.checkpoints.files import hash_file, open_regular, read_chunks, replacing, write_whole
from shared.checkpoints.manifest import write_manifest
from shared.checkpoints.stores.source import changed, open_source
from shared.checkpoints.stores.store import NotServed
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.manifest import MANIFEST_NAME, Manifest, ManifestFile

NOT_SERVED = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EINVAL}
)
"""What the system answers when the publisher left no readable regular file there; all other errors
are the store's own trouble."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """A directory below a root that miner and validators share."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """See `Store.read`."""
        data = b""
        for chunk in self.stream(path):
            data += chunk
            if len(data) > limit_bytes:
                raise Rejection("too_large", f"{path} has more than {limit_bytes} bytes")
        return data

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        """See `Store.stream`."""
        self._require_root()
        try:
            with open_regular(self._root, f"{self._name}/{path}") as file:
                file.seek(offset)
                yield from read_chunks(file)
        except OSError as error:
            self._refuse(path, error)

    def prepare(self, source: Path, manifest: Manifest) -> None:
        """See `Store.prepare`: a shared directory has no private part, so nothing is brought early."""

    def publish(self, source: Path, manifest: Manifest) -> None:
        """See `Store.publish`."""
        self._require_root()
        place = self._root / self._name
        with self._writing():
            place.mkdir(exist_ok=True)
            # an older manifest must not vouch for a mixture of old and new files
            (place / MANIFEST_NAME).unlink(missing_ok=True)
            for entry in manifest.files:
                if not _holds(place, entry):
                    _copy(source, place, entry)
            write_manifest(place, manifest)

    def write(self, path: str, data: bytes) -> None:
        """See `Store.write`."""
        with self._writing():
            write_whole(self._root / self._name / path, data)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"cannot publish to {self._root / self._name}: {error.strerror}"
            if error.errno in FULL:
                raise AgonError("store_full", message) from error
            raise TransientError("store_unreachable", message) from error

    def _require_root(self) -> None:
        if not self._root.is_dir():
            raise TransientError("store_unreachable", f"the store's root {self._root} is not a directory")

    def _refuse(self, path: str, error: OSError) -> NoReturn:
        if error.errno in NOT_SERVED:
            raise NotServed(f"file:{self._name} does not serve {path}: {error.strerror}") from error
        message = f"reading {path} of file:{self._name}: {error.strerror}"
        raise TransientError("store_unreachable", message) from error


def _holds(place: Path, entry: ManifestFile) -> bool:
    try:
        with open_regular(place, entry.path) as file:
            return hash_file(file) == (entry.size_bytes, entry.digest)
    except OSError:
        return False


def _copy(source: Path, place: Path, entry: ManifestFile) -> None:
    hasher = hashlib.sha256()
    with open_source(source, entry) as opened, replacing(place / entry.path) as target:
        for chunk in read_chunks(opened):
            hasher.update(chunk)
            target.write(chunk)
        if "sha256:" + hasher.hexdigest() != entry.digest:
            raise changed(entry)
