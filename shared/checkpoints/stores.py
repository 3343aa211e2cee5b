"""Stores: the places where a committed checkpoint is published and read, behind one small Protocol.

The download reads through it, `agon-miner submit` publishes through it. This build serves `file:`
locators below a configured root, which makes sense on embedded and local networks only. A store moves
bytes; it never judges them.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn, Protocol

from shared.chain.commitment import Locator
from shared.checkpoints.files import hash_file, open_regular, read_chunks, replacing
from shared.checkpoints.manifest import write_manifest
from shared.errors import AgonError, Rejection, TransientError
from shared.models.manifest import MANIFEST_NAME, Manifest, ManifestFile

NOT_SERVED = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EINVAL}
)
"""What the system answers when the publisher left no readable regular file there; all other errors
are the store's own trouble."""


NotServedCode = Literal["withheld", "commitment_mismatch"]


class NotServed(TransientError):
    """The store answered, but what was committed is not there: it may still come before the deadline.

    The caller asks again until the fetch window closes and then records a Rejection with this code.
    """

    def __init__(
        self, message: str, *, code: Literal["withheld", "commitment_mismatch"] = "withheld"
    ) -> None:
        super().__init__(code, message)


class Store(Protocol):
    """One checkpoint's place. Paths are those of a validated manifest, or `manifest.json`."""

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """A whole small object. Raises Rejection `too_large` beyond the limit, NotServed when there is
        no such object, TransientError `store_unreachable` when the store does not answer."""
        ...

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        """The object from byte `offset` on. It ends only where the object ends: a broken connection
        raises. Errors as for `read`, at any time."""
        ...

    def publish(self, source: Path, manifest: Manifest) -> None:
        """Put the files of `manifest` from `source` in place, the manifest last, each file whole or not
        at all. Repeating it completes an earlier attempt. Raises AgonError `digest_mismatch` when the
        source is not what the manifest says, TransientError when the store does not answer."""
        ...


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

    def publish(self, source: Path, manifest: Manifest) -> None:
        """See `Store.publish`."""
        self._require_root()
        place = self._root / self._name
        try:
            place.mkdir(exist_ok=True)
            # an older manifest must not vouch for a mixture of old and new files
            (place / MANIFEST_NAME).unlink(missing_ok=True)
            for entry in manifest.files:
                if not _holds(place, entry):
                    _copy(source, place, entry)
            write_manifest(place, manifest)
        except OSError as error:
            message = f"cannot publish to {place}: {error.strerror}"
            raise TransientError("store_unreachable", message) from error

    def _require_root(self) -> None:
        if not self._root.is_dir():
            raise TransientError("store_unreachable", f"the store's root {self._root} is not a directory")

    def _refuse(self, path: str, error: OSError) -> NoReturn:
        if error.errno in NOT_SERVED:
            raise NotServed(f"file:{self._name} does not serve {path}: {error.strerror}") from error
        message = f"reading {path} of file:{self._name}: {error.strerror}"
        raise TransientError("store_unreachable", message) from error


def open_store(locator: Locator, *, file_root: Path | None) -> Store:
    """The store that `locator` names.

    Raises Rejection `locator_invalid` unless it is a `file:` locator and a root for such is configured,
    which it is on embedded and local networks only.
    """
    if locator.scheme != "file":
        raise Rejection("locator_invalid", f"this build serves file: locators only, not {locator}")
    if file_root is None:
        message = f"file: locators are served on embedded and local networks only, not {locator}"
        raise Rejection("locator_invalid", message)
    return FileStore(file_root, locator.name)


def _holds(place: Path, entry: ManifestFile) -> bool:
    try:
        with open_regular(place, entry.path) as file:
            return hash_file(file) == (entry.size_bytes, entry.digest)
    except OSError:
        return False


def _copy(source: Path, place: Path, entry: ManifestFile) -> None:
    try:
        opened = open_regular(source, entry.path)
    except OSError as error:
        message = f"{entry.path} cannot be read from {source}: {error.strerror}"
        raise AgonError("digest_mismatch", message) from error
    hasher = hashlib.sha256()
    with opened, replacing(place / entry.path) as target:
        for chunk in read_chunks(opened):
            hasher.update(chunk)
            target.write(chunk)
        if "sha256:" + hasher.hexdigest() != entry.digest:
            raise AgonError("digest_mismatch", f"{entry.path} changed since its manifest was made")
