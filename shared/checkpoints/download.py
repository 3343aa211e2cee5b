"""The download: from a store to verified bytes in a content-addressed cache.

Intake calls it with a check of the commitment; nothing of a manifest that the commitment does not bind
is parsed, and no tensors are fetched before the manifest was found acceptable. Files are hashed while
they stream, interrupted downloads go on where they stopped, and a checkpoint appears in the cache whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.checkpoints.allowlist import manifest_findings
from shared.checkpoints.files import hash_file, open_regular, read_chunks
from shared.checkpoints.manifest import MANIFEST_LIMIT_BYTES, load_manifest, read_manifest, write_manifest
from shared.checkpoints.stores import NotServed, Store
from shared.errors import Rejection
from shared.protocol.competition import CheckpointLimits
from shared.protocol.manifest import MANIFEST_NAME, Manifest, ManifestFile
from shared.protocol.wire import sha256_digest
from shared.types import Digest

DIGEST_PREFIX = "sha256:"

Binds = Callable[[Digest], bool]
"""Whether a commitment binds the manifest of this digest."""


@dataclass(frozen=True)
class Fetched:
    """A checkpoint in the cache, every byte verified against its manifest."""

    path: Path
    manifest: Manifest


def download(store: Store, *, binds: Binds, limits: CheckpointLimits, cache: Path) -> Fetched:
    """Fetch the checkpoint that a commitment binds into `<cache>/checkpoints/<manifest hex>/`.

    A checkpoint already there is returned without asking the store. Raises Rejection
    `manifest_invalid`, `too_large`, `file_forbidden`, `architecture_mismatch` (no tensors) or
    `digest_mismatch`; NotServed while the committed manifest is not there, be it that another one is
    (`commitment_mismatch`). TransientError from the store passes through, and what was fetched so far
    is kept for the next attempt.
    """
    fetched = find_cached(cache, binds) or _fetch(store, binds, limits, cache)
    _require_acceptable(fetched.manifest, limits)
    return fetched


def find_cached(cache: Path, binds: Binds) -> Fetched | None:
    """The cached checkpoint that a commitment binds, if there is one."""
    found = next((digest for digest in list_cached(cache) if binds(digest)), None)
    return None if found is None else _open_cached(checkpoint_path(cache, found))


def list_cached(cache: Path) -> list[Digest]:
    """Manifest digests of the checkpoints in the cache, sorted."""
    home = cache / "checkpoints"
    return [Digest(DIGEST_PREFIX + path.name) for path in sorted(home.iterdir())] if home.is_dir() else []


def checkpoint_path(cache: Path, manifest: Digest) -> Path:
    """Where the checkpoint with this manifest digest lies in the cache, once it is fetched."""
    return cache / "checkpoints" / manifest.removeprefix(DIGEST_PREFIX)


def _fetch(store: Store, binds: Binds, limits: CheckpointLimits, cache: Path) -> Fetched:
    data = store.read(MANIFEST_NAME, limit_bytes=MANIFEST_LIMIT_BYTES)
    digest = sha256_digest(data)
    if not binds(digest):
        message = f"the manifest served, {digest}, is not the committed one"
        raise NotServed(message, code="commitment_mismatch")
    manifest = read_manifest(data)
    _require_acceptable(manifest, limits)
    target = checkpoint_path(cache, digest)
    partial = cache / "partial" / target.name
    with _locked(partial):
        # another download of the same content may have finished while this one waited
        done = _open_cached(target)
        if done:
            return done
        try:
            for file in manifest.files:
                _fetch_file(store, file, partial / file.path)
        except Rejection:
            shutil.rmtree(partial)
            raise
        write_manifest(partial, manifest)
        _drop_strangers(partial, manifest)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    return Fetched(target, manifest)


def _drop_strangers(partial: Path, manifest: Manifest) -> None:
    """Delete what a killed attempt left beside the files: admission would hold it against the miner."""
    listed = {file.path.split("/")[0] for file in manifest.files} | {MANIFEST_NAME}
    for path in partial.iterdir():
        if path.name not in listed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _require_acceptable(manifest: Manifest, limits: CheckpointLimits) -> None:
    for finding in manifest_findings(manifest, limits):
        raise finding


def _open_cached(path: Path) -> Fetched | None:
    """The checkpoint at `path`; none when it is absent or any byte of it was damaged on our disk.

    Without the second look a failing disk would turn into a digest mismatch of the miner's.
    """
    try:
        manifest = load_manifest(path)
        sound = all(_is_sound(path, file) for file in manifest.files)
    except (OSError, Rejection):
        return None
    return Fetched(path, manifest) if sound and manifest.digest == DIGEST_PREFIX + path.name else None


def _is_sound(path: Path, expected: ManifestFile) -> bool:
    with open_regular(path, expected.path) as file:
        return hash_file(file) == (expected.size_bytes, expected.digest)


@contextmanager
def _locked(partial: Path) -> Iterator[None]:
    """Hold the one right to write the partial download of this content; other downloads of it wait."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.with_name(partial.name + ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        partial.mkdir(exist_ok=True)
        yield


def _fetch_file(store: Store, file: ManifestFile, target: Path) -> None:
    if target.exists():
        return
    part = target.with_name(target.name + ".part")
    resumed = part.exists()
    try:
        _stream_into(store, file, part)
    except Rejection:
        part.unlink(missing_ok=True)
        if not resumed:
            raise
        # what an earlier attempt left may be torn by a crash here: only a whole fetch convicts
        _stream_into(store, file, part)
    part.rename(target)


def _stream_into(store: Store, file: ManifestFile, part: Path) -> None:
    hasher = hashlib.sha256()
    with part.open("a+b") as out:
        out.seek(0)
        for chunk in read_chunks(out):
            hasher.update(chunk)
        size_bytes = out.tell()
        if size_bytes <= file.size_bytes:
            for chunk in store.stream(file.path, offset=size_bytes):
                size_bytes += len(chunk)
                if size_bytes > file.size_bytes:
                    break
                hasher.update(chunk)
                out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if size_bytes > file.size_bytes:
        raise Rejection("digest_mismatch", f"{file.path} has more than the {file.size_bytes} bytes listed")
    if size_bytes < file.size_bytes:
        raise Rejection("digest_mismatch", f"{file.path} ends after {size_bytes} of {file.size_bytes} bytes")
    if DIGEST_PREFIX + hasher.hexdigest() != file.digest:
        raise Rejection("digest_mismatch", f"{file.path} has another digest than its manifest says")
