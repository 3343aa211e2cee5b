"""The `hf://` store against a server that speaks the Hub's protocol, with huggingface_hub unmodified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.chain.commitment import parse_locator
from shared.checkpoints.download import download
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.stores import NotServed, Store, open_store
from shared.errors import AgonError, Rejection, TransientError
from shared.protocol.competition import CheckpointLimits, Competition
from shared.protocol.manifest import Manifest
from shared.settings import Settings

WEIGHTS = "model.safetensors"
REPO = "org/policy"


@pytest.fixture
def limits(rules: Competition) -> CheckpointLimits:
    return rules.architecture.limits


@pytest.fixture
def manifest(base: Path) -> Manifest:
    return build_manifest(base)


def _open(hub: Any, *, token: str | None = "hf_test", network: str = "embedded") -> Store:
    settings = Settings.load(network=network, hf_endpoint=hub.url, hf_token=token)
    return open_store(parse_locator(f"hf://{REPO}"), settings)


def _published(hub: Any, base: Path, manifest: Manifest) -> Store:
    store = _open(hub)
    store.prepare(base, manifest)
    store.publish(base, manifest)
    hub.asked.clear()
    return store


def test_files_are_private_until_published_and_whole_afterwards(
    *, hub: Any, base: Path, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    miner, public = _open(hub), _open(hub, token=None)
    miner.prepare(base, manifest)
    assert hub.repos[REPO].private
    assert {*hub.repos[REPO].commits[-1][1]} == {".gitattributes", "config.json", WEIGHTS}
    for path in ("manifest.json", WEIGHTS):
        with pytest.raises(NotServed):
            public.read(path, limit_bytes=10**6)
    hub.asked.clear()
    miner.publish(base, manifest)
    assert hub.uploads() == []
    fetched = download(
        _open(hub, token=None), binds=manifest.digest.__eq__, limits=limits, cache=tmp_path / "cache"
    )
    assert build_manifest(fetched.path) == manifest


def test_validators_read_without_a_token(hub: Any, base: Path, manifest: Manifest) -> None:
    store = _published(hub, base, manifest)
    assert b"".join(store.stream(WEIGHTS)) == (base / WEIGHTS).read_bytes()
    assert hub.asked and not [line for line in hub.asked if "token" in line]


def test_everything_is_read_at_the_commit_that_was_found_first(
    hub: Any, base: Path, manifest: Manifest
) -> None:
    store, before = _published(hub, base, manifest), (base / WEIGHTS).read_bytes()
    first = store.read("manifest.json", limit_bytes=10**6)
    hub.repos[REPO].commit({"manifest.json": b"{}", WEIGHTS: b"other"})
    assert store.read("manifest.json", limit_bytes=10**6) == first
    assert b"".join(store.stream(WEIGHTS)) == before
    assert len([line for line in hub.asked if "/revision/" in line]) == 1
    assert _open(hub).read("manifest.json", limit_bytes=10**6) == b"{}"


def test_a_broken_download_goes_on_at_an_offset(hub: Any, base: Path, manifest: Manifest) -> None:
    store, data = _published(hub, base, manifest), (base / WEIGHTS).read_bytes()
    assert b"".join(store.stream(WEIGHTS, offset=100)) == data[100:]
    assert b"".join(store.stream(WEIGHTS, offset=len(data))) == b""
    assert b"".join(store.stream("config.json", offset=3)) == (base / "config.json").read_bytes()[3:]


def test_a_hub_that_serves_another_commit_is_not_believed(hub: Any, base: Path, manifest: Manifest) -> None:
    store = _published(hub, base, manifest)
    hub.refuse["/resolve/"] = (200, {"X-Repo-Commit": "0" * 40}, b"{}")
    with pytest.raises(NotServed, match="instead of"):
        store.read("manifest.json", limit_bytes=10**6)


@pytest.mark.parametrize("body", [b"{}", b"[" * 9000, b'{"sha": "../../main"}', b'{"sha": 7}', b"\xff"])
def test_a_revision_that_is_no_commit_is_the_hubs_fault(
    hub: Any, base: Path, manifest: Manifest, body: bytes
) -> None:
    store = _published(hub, base, manifest)
    hub.refuse["/revision/"] = (200, {}, body)
    with pytest.raises(TransientError, match="store_unreachable"):
        store.read("manifest.json", limit_bytes=10**6)


def test_a_repository_of_a_million_files_is_not_listed(hub: Any, base: Path, manifest: Manifest) -> None:
    store = _published(hub, base, manifest)
    hub.refuse["/revision/"] = (200, {}, b'{"siblings": [' + b'{"rfilename": "x"},' * 60_000)
    with pytest.raises(Rejection, match="too_large"):
        store.read("manifest.json", limit_bytes=10**6)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotServed), (403, NotServed), (404, NotServed), (429, TransientError), (503, TransientError)],
)
def test_a_clear_no_is_the_publishers_and_silence_is_nobodys(
    hub: Any, base: Path, manifest: Manifest, status: int, kind: type[TransientError]
) -> None:
    store = _published(hub, base, manifest)
    hub.refuse["/resolve/"] = (status, {}, b"")
    with pytest.raises(TransientError) as caught:
        store.read("manifest.json", limit_bytes=10**6)
    assert type(caught.value) is kind


def test_an_upload_that_broke_off_goes_on_with_what_is_missing(
    hub: Any, base: Path, manifest: Manifest
) -> None:
    store = _open(hub)
    hub.refuse["/commit/"] = (400, {}, b'{"error": "no"}')
    with pytest.raises(AgonError, match="store_denied"):
        store.prepare(base, manifest)
    assert len(hub.uploads()) == 1
    hub.refuse.clear()
    store.prepare(base, manifest)
    store.prepare(base, manifest)
    store.publish(base, manifest)
    assert len(hub.uploads()) == 1
    assert len(hub.repos[REPO].commits) == 3


def test_publishing_without_preparing_brings_the_files(hub: Any, base: Path, manifest: Manifest) -> None:
    store = _open(hub)
    store.publish(base, manifest)
    assert store.read("manifest.json", limit_bytes=10**6) == (
        _open(hub, token=None).read("manifest.json", limit_bytes=10**6)
    )


def test_an_older_manifest_never_vouches_for_newer_files(hub: Any, base: Path, manifest: Manifest) -> None:
    store = _published(hub, base, manifest)
    hub.repos[REPO].private = True
    (base / "README.md").write_text("second")
    store.prepare(base, build_manifest(base))
    assert "manifest.json" not in hub.repos[REPO].commits[-1][1]


def test_files_are_not_brought_to_a_public_repository(hub: Any, base: Path, manifest: Manifest) -> None:
    store = _published(hub, base, manifest)
    store.prepare(base, manifest)
    (base / "README.md").write_text("second")
    with pytest.raises(AgonError, match="store_exposed"):
        store.prepare(base, build_manifest(base))
    assert "README.md" not in hub.repos[REPO].commits[-1][1]


def test_a_package_that_changed_is_not_uploaded(hub: Any, base: Path, manifest: Manifest) -> None:
    (base / "config.json").write_bytes(b"x" * 56)
    with pytest.raises(AgonError, match="digest_mismatch"):
        _open(hub).prepare(base, manifest)
    assert [line for line in hub.asked if "/commit/" in line] == []


@pytest.mark.parametrize(("token", "said"), [(None, "needs a token"), ("hf_wrong", "Invalid username")])
def test_without_a_token_that_may_write_nothing_is_uploaded(
    *, hub: Any, base: Path, manifest: Manifest, token: str | None, said: str
) -> None:
    with pytest.raises(AgonError, match=f"store_denied.*{said}"):
        _open(hub, token=token).prepare(base, manifest)


def test_a_full_account_is_named(hub: Any, base: Path, manifest: Manifest) -> None:
    hub.quota_bytes = 10
    with pytest.raises(AgonError, match=r"store_full.*storage limit"):
        _open(hub).prepare(base, manifest)
    hub.quota_bytes = 10**9
    hub.refuse["/commit/"] = (403, {}, json.dumps({"error": "You have exceeded your quota"}).encode())
    with pytest.raises(AgonError, match="store_full"):
        _open(hub).prepare(base, manifest)


def test_a_hub_that_is_down_is_asked_again_later(hub: Any, base: Path, manifest: Manifest) -> None:
    hub.refuse["/api/repos/create"] = (503, {}, b"")
    with pytest.raises(TransientError, match="store_unreachable"):
        _open(hub).prepare(base, manifest)


def test_a_log_is_written_where_everybody_reads_it(hub: Any) -> None:
    store = _open(hub)
    store.write("log.jsonl", b"one\n")
    store.write("log.jsonl", b"one\ntwo\n")
    assert _open(hub, token=None).read("log.jsonl", limit_bytes=100) == b"one\ntwo\n"


def test_on_a_public_network_the_hub_redirects_to_no_private_host(
    hub: Any, base: Path, manifest: Manifest
) -> None:
    _published(hub, base, manifest)
    store = _open(hub, network="finney")
    assert store.read("manifest.json", limit_bytes=10**6)
    hub.refuse["/resolve/"] = (302, {"Location": "http://127.0.0.1:9/secret"}, b"")
    with pytest.raises(NotServed, match="https only"):
        store.read("manifest.json", limit_bytes=10**6)
    hub.refuse["/resolve/"] = (302, {"Location": "https://127.0.0.1:9/secret"}, b"")
    with pytest.raises(NotServed, match="not a public host"):
        store.read("manifest.json", limit_bytes=10**6)
