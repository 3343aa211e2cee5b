"""Judges from where owners keep them: a directory, `hf://org/repo` or `s3://host/bucket/prefix`.

The build and `agon-validator judge` call it. A place serves a judge as it serves a checkpoint, with a
manifest that every file is checked against; a digest after `#` pins that manifest. It loads no model.
"""

from __future__ import annotations

from pathlib import Path

from shared.chain.commitment import parse_locator
from shared.checkpoints.allowlist import CONFIG_NAME, WEIGHTS_NAME
from shared.checkpoints.download import download
from shared.checkpoints.manifest import MANIFEST_LIMIT_BYTES
from shared.checkpoints.stores import NotServed, Store, open_store
from shared.errors import AgonError, Rejection
from shared.protocol.competition import CheckpointLimits
from shared.protocol.manifest import MANIFEST_NAME
from shared.protocol.wire import checked_digest, sha256_digest
from shared.settings import Settings
from shared.types import Digest

LIMITS = CheckpointLimits(bytes=64 << 30, files=16, max_abs=1e6, norm_ratio=1e6)
"""Bytes and files of a judge; the bounds on numbers are not used on a download."""
REMOTE = ("hf://", "s3://", "file:")
TOKENIZER_NAME = "tokenizer.json"


def fetch_judge(source: str, settings: Settings) -> Path:
    """Directory of the judge that `source` names, downloaded into the cache where it is a place.

    `PLACE#sha256:HEX` takes only the manifest of that digest; without it, whatever the place serves now.
    Raises AgonError `judge_unavailable`, TransientError `store_unreachable`.
    """
    path = _download(source, settings) if source.startswith(REMOTE) else Path(source).expanduser()
    require_judge(path, source)
    return path


def require_judge(path: Path, source: str) -> None:
    """Raise AgonError `judge_unavailable` unless the files that a judge consists of are in `path`."""
    if not path.is_dir():
        raise AgonError("judge_unavailable", f"there is no directory {path}")
    missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME, TOKENIZER_NAME) if not (path / name).is_file()]
    if missing:
        raise AgonError("judge_unavailable", f"{source}: {', '.join(missing)} missing in {path}")


def _download(source: str, settings: Settings) -> Path:
    place, mark, pin = source.partition("#")
    try:
        store = open_store(parse_locator(place), settings)
        # a download looks into the cache for what its digest allows: without a pin that would be any judge
        digest = _pinned(pin) if mark else _served(store)
        return download(
            store, binds=lambda found: found == digest, limits=LIMITS, cache=settings.cache / "judges"
        ).path
    except (Rejection, NotServed) as error:
        raise AgonError("judge_unavailable", f"{source}: {error.message}") from error


def _pinned(pin: str) -> Digest:
    try:
        return checked_digest(pin)
    except ValueError as error:
        raise AgonError("judge_unavailable", f"after # comes the manifest's digest: {error}") from error


def _served(store: Store) -> Digest:
    return sha256_digest(store.read(MANIFEST_NAME, limit_bytes=MANIFEST_LIMIT_BYTES))
