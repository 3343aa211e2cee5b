"""Publishing and fetching: whole or not at all, resumed after any crash, served once."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.chain.commitment import parse_locator
from shared.checkpoints.download import Fetched, checkpoint_path, download, find_cached
from shared.checkpoints.manifest import build_manifest, load_manifest
from shared.checkpoints.stores import FileStore, NotServed, open_store
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.competition import CheckpointLimits, Competition
from shared.protocol.manifest import Manifest
from shared.settings import Settings

WEIGHTS = "model.safetensors"


class _Recording(FileStore):
    """A file store that counts what is asked of it and can break off."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root, name)
        self.asked: list[tuple[str, int]] = []
        self.break_after_bytes: int | None = None

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        self.asked.append((path, offset))
        for chunk in super().stream(path, offset=offset):
            if path == WEIGHTS and self.break_after_bytes is not None:
                yield chunk[: self.break_after_bytes]
                raise TransientError("store_unreachable", "the line went dead")
            yield chunk


@pytest.fixture
def limits(rules: Competition) -> CheckpointLimits:
    return rules.architecture.limits


@pytest.fixture
def store(tmp_path: Path) -> _Recording:
    (tmp_path / "store").mkdir()
    return _Recording(tmp_path / "store", "mine")


@pytest.fixture
def manifest(base: Path, store: FileStore) -> Manifest:
    manifest = build_manifest(base)
    store.publish(base, manifest)
    return manifest


def _download(store: FileStore, manifest: Manifest, limits: CheckpointLimits, cache: Path) -> Fetched:
    return download(store, binds=manifest.digest.__eq__, limits=limits, cache=cache)


def test_what_is_published_is_what_is_fetched(
    *, base: Path, store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    fetched = _download(store, manifest, limits, tmp_path / "cache")
    assert fetched == Fetched(checkpoint_path(tmp_path / "cache", manifest.digest), manifest)
    assert build_manifest(fetched.path) == load_manifest(fetched.path) == manifest
    assert sorted(path.name for path in fetched.path.iterdir()) == ["config.json", "manifest.json", WEIGHTS]


def test_a_cached_checkpoint_is_never_asked_for_again(
    *, base: Path, store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    first = _download(store, manifest, limits, tmp_path)
    store.asked.clear()
    assert _download(store, manifest, limits, tmp_path) == first
    assert store.asked == []
    assert find_cached(tmp_path, lambda digest: False) is None


def test_a_cached_checkpoint_still_has_to_fit_the_limits(
    store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    _download(store, manifest, limits, tmp_path)
    with pytest.raises(Rejection, match="too_large"):
        _download(store, manifest, limits.model_copy(update={"bytes": 10}), tmp_path)


@pytest.mark.parametrize("kept_bytes", [0, 1, 100])
def test_a_broken_download_goes_on_where_it_stopped(
    *, store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path, kept_bytes: int
) -> None:
    store.break_after_bytes = kept_bytes
    with pytest.raises(TransientError, match="store_unreachable"):
        _download(store, manifest, limits, tmp_path)
    store.break_after_bytes = None
    store.asked.clear()
    fetched = _download(store, manifest, limits, tmp_path)
    assert store.asked == [("manifest.json", 0), (WEIGHTS, kept_bytes)]
    assert build_manifest(fetched.path) == manifest


@pytest.mark.parametrize("torn", [b"garbage", b"x" * 90_000], ids=["wrong bytes", "too many bytes"])
def test_a_torn_partial_file_is_never_held_against_the_miner(
    *, store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path, torn: bytes
) -> None:
    partial = tmp_path / "partial" / manifest.digest.removeprefix("sha256:")
    partial.mkdir(parents=True)
    (partial / f"{WEIGHTS}.part").write_bytes(torn)
    assert build_manifest(_download(store, manifest, limits, tmp_path).path) == manifest


def test_what_a_killed_attempt_left_behind_is_never_held_against_the_miner(
    store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    partial = tmp_path / "cache" / "partial" / manifest.digest.removeprefix("sha256:")
    partial.mkdir(parents=True)
    (partial / ".manifest.json.4711.partial").write_bytes(b"{")
    fetched = _download(store, manifest, limits, tmp_path / "cache")
    listed = {file.path for file in manifest.files} | {"manifest.json"}
    assert {path.name for path in fetched.path.iterdir()} == listed


def test_a_flipped_bit_in_the_store_is_refused_and_leaves_nothing(
    store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    path = tmp_path / "store" / "mine" / WEIGHTS
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Rejection, match="digest_mismatch"):
        _download(store, manifest, limits, tmp_path / "cache")
    assert not [found for found in (tmp_path / "cache").rglob("*") if found.suffix not in {"", ".lock"}]


def test_a_truncated_file_in_the_store_is_refused(
    store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    path = tmp_path / "store" / "mine" / WEIGHTS
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Rejection, match="ends after 50 of"):
        _download(store, manifest, limits, tmp_path / "cache")


@pytest.mark.parametrize("name", ["manifest.json", WEIGHTS])
@pytest.mark.parametrize("left", [b"{", None], ids=["damaged", "gone"])
def test_damage_on_our_own_disk_is_fetched_again_and_not_the_miner_s_fault(
    *,
    store: _Recording,
    manifest: Manifest,
    limits: CheckpointLimits,
    tmp_path: Path,
    name: str,
    left: bytes | None,
) -> None:
    path = _download(store, manifest, limits, tmp_path).path / name
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    assert build_manifest(_download(store, manifest, limits, tmp_path).path) == manifest


def test_nothing_published_yet_is_not_a_broken_store(
    base: Path, store: _Recording, limits: CheckpointLimits, tmp_path: Path
) -> None:
    with pytest.raises(NotServed) as absent:
        _download(store, build_manifest(base), limits, tmp_path)
    assert (absent.value.code, absent.value.fault) == ("withheld", "miner")
    lost = FileStore(tmp_path / "unmounted", "mine")
    with pytest.raises(TransientError, match="store_unreachable") as unreachable:
        _download(lost, build_manifest(base), limits, tmp_path)
    assert not isinstance(unreachable.value, NotServed)


def test_the_manifest_is_published_last(base: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store, manifest = FileStore(tmp_path / "store", "mine"), build_manifest(base)
    (base / WEIGHTS).write_bytes(b"changed")
    with pytest.raises(AgonError, match="digest_mismatch"):
        store.publish(base, manifest)
    assert sorted(path.name for path in (tmp_path / "store" / "mine").iterdir()) == ["config.json"]


def test_a_full_disk_is_named(base: Path, store: FileStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(AgonError, match="store_full"):
            store.publish(base, build_manifest(base))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_publishing_again_completes_what_is_missing_and_keeps_what_is_there(
    base: Path, store: _Recording, manifest: Manifest, tmp_path: Path
) -> None:
    place = tmp_path / "store" / "mine"
    kept = (place / WEIGHTS).stat().st_ino
    (place / "config.json").unlink()
    store.publish(base, manifest)
    assert (place / WEIGHTS).stat().st_ino == kept
    assert build_manifest(place) == load_manifest(place) == manifest


def test_a_new_submission_replaces_an_old_one_under_the_same_name(
    *, base: Path, store: _Recording, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    (base / "README.md").write_text("second")
    second = build_manifest(base)
    store.publish(base, second)
    assert _download(store, second, limits, tmp_path).manifest == second
    with pytest.raises(NotServed, match="commitment_mismatch"):
        _download(store, manifest, limits, tmp_path)


@pytest.mark.parametrize("network", [None, "test", "finney", "wss://entry.example:443"])
def test_file_locators_need_a_local_network(network: str | None, tmp_path: Path) -> None:
    with pytest.raises(Rejection, match="embedded and local networks only"):
        open_store(parse_locator("file:mine"), Settings.load(network=network, store=tmp_path))
    local = Settings.load(network="embedded", store=tmp_path)
    assert isinstance(open_store(parse_locator("file:mine"), local), FileStore)


def test_a_parallel_download_of_the_same_content_waits_and_shares(
    *, store: Any, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        fetched = list(pool.map(lambda _: _download(store, manifest, limits, tmp_path), range(8)))
    assert set(map(str, (one.path for one in fetched))) == {str(checkpoint_path(tmp_path, manifest.digest))}
    assert store.asked.count((WEIGHTS, 0)) == 1
