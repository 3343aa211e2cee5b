"""Plain files, handled as if somebody hostile had prepared the directory.

Opens regular files without following links, hashes them in bounded memory and writes whole files
atomically. Everything that touches checkpoints, bundles or journals on disk goes through here; it
knows nothing of what the files mean.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shared.types import Digest

CHUNK_BYTES = 1 << 20


def open_regular(root: Path, path: str) -> BinaryIO:
    """The regular file at the relative POSIX `path` below `root`, no symbolic link followed below it.

    Raises OSError: ELOOP or ENOTDIR for links, EINVAL for anything but a regular file (a FIFO would
    block its reader for ever, so it is opened without blocking and refused).
    """
    *folders, name = path.split("/")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        leaf = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(leaf).st_mode):
        os.close(leaf)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(leaf, "rb")


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of `file` in chunks of at most `CHUNK_BYTES`."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def hash_file(file: BinaryIO) -> tuple[int, Digest]:
    """Size in bytes and digest of the rest of `file`, both from the same bytes."""
    hasher, size_bytes = hashlib.sha256(), 0
    for chunk in read_chunks(file):
        hasher.update(chunk)
        size_bytes += len(chunk)
    return size_bytes, Digest("sha256:" + hasher.hexdigest())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and is gone when it does not.

    A reader of `path` sees the old file or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with replacing(path) as file:
        file.write(data)
