"""Judges from an S3 host that may serve anything: whole and pinned, or refused with nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shared.checkpoints.stores.s3.bucket as bucket_module
from shared.chain.commitment import parse_locator
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.stores import open_store
from shared.errors import AgonError, TransientError
from shared.protocol.manifest import MANIFEST_NAME, Manifest, ManifestFile
from shared.protocol.wire import canonical_json
from shared.settings import Settings
from validator.owner.judges import publish as publishing
from validator.owner.judges.publish import PublishedJudge, publish_judge
from validator.owner.judges.sources import fetch_judge

WEIGHTS = "model.safetensors"
PREFIX = "judges/one"


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    root = tmp_path / "judge"
    root.mkdir()
    (root / WEIGHTS).write_bytes(b"weights" * 50)
    for name in ("config.json", "tokenizer.json"):
        (root / name).write_text("{}")
    return root


@pytest.fixture
def manifest(judge: Path) -> Manifest:
    return build_manifest(judge)


@pytest.fixture
def place(s3_host: Any, judge: Path, manifest: Manifest) -> str:
    """The judge in a bucket that everybody may read, and its source."""
    s3_host.open_prefix(f"{PREFIX}/")
    source = f"s3://{s3_host.host}/models/{PREFIX}"
    owner = Settings.load(network="embedded", s3_key_id="owner", s3_secret="secret")
    open_store(parse_locator(source), owner).publish(judge, manifest)
    return source


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[[str], Path]:
    """Fetch as somebody without keys."""
    settings = Settings.load(network="embedded", cache=tmp_path / "cache")
    return lambda source: fetch_judge(source, settings)


@pytest.fixture
def put(s3_host: Any) -> Callable[[str, bytes], None]:
    """Replace an object below the prefix, as whoever owns the bucket can."""
    return lambda name, data: s3_host.client.put_object(Bucket="models", Key=f"{PREFIX}/{name}", Body=data)


def refuse(fetch: Callable[[str], Path], source: str, root: Path) -> str:
    """Fetching ends with `judge_unavailable` and leaves no file but the lock; returns the message."""
    before = {path for path in root.rglob("*") if path.is_file()}
    with pytest.raises(AgonError) as caught:
        fetch(source)
    left = {path for path in root.rglob("*") if path.is_file()} - before
    assert {path.suffix for path in left} <= {".lock"}
    assert not isinstance(caught.value, TransientError)
    assert caught.value.code == "judge_unavailable"
    return caught.value.message


def test_a_judge_in_a_bucket_is_fetched_whole_with_a_pin_and_without(
    place: str, manifest: Manifest, fetch: Callable[[str], Path]
) -> None:
    found = fetch(place)
    assert build_manifest(found) == manifest
    assert fetch(f"{place}#{manifest.digest}") == found


def test_a_truncated_object_is_refused(
    *,
    place: str,
    judge: Path,
    put: Callable[[str, bytes], None],
    fetch: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    put(WEIGHTS, (judge / WEIGHTS).read_bytes()[:-1])
    assert "ends after 349 of 350 bytes" in refuse(fetch, place, tmp_path)
    put(WEIGHTS, (judge / WEIGHTS).read_bytes())
    assert (fetch(place) / WEIGHTS).read_bytes() == (judge / WEIGHTS).read_bytes()


@pytest.mark.parametrize(("change", "said"), [(b"x", "another digest"), (b"xy", "more than the 350 bytes")])
def test_other_bytes_than_the_manifest_s_are_refused(
    *,
    place: str,
    judge: Path,
    put: Callable[[str, bytes], None],
    fetch: Callable[[str], Path],
    tmp_path: Path,
    change: bytes,
    said: str,
) -> None:
    put(WEIGHTS, (judge / WEIGHTS).read_bytes()[:-1] + change)
    assert said in refuse(fetch, place, tmp_path)


def test_a_pin_takes_no_other_judge_from_the_place_or_the_cache(
    *, place: str, judge: Path, manifest: Manifest, put: Any, fetch: Callable[[str], Path], tmp_path: Path
) -> None:
    assert "is not the committed one" in refuse(fetch, f"{place}#sha256:{'0' * 64}", tmp_path)
    pinned = fetch(f"{place}#{manifest.digest}")
    (judge / WEIGHTS).write_bytes(b"another judge")
    put(WEIGHTS, b"another judge")
    put(MANIFEST_NAME, canonical_json(build_manifest(judge)))
    assert build_manifest(fetch(place)) == build_manifest(judge)
    assert fetch(f"{place}#{manifest.digest}") == pinned
    assert build_manifest(pinned) == manifest


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside", "a/../../outside"])
def test_a_manifest_that_names_a_file_outside_is_refused(
    *, place: str, manifest: Manifest, put: Any, fetch: Callable[[str], Path], tmp_path: Path, path: str
) -> None:
    document = manifest.model_dump(mode="json")
    document["files"][0]["path"] = path
    put(MANIFEST_NAME, json.dumps(document, separators=(",", ":"), sort_keys=True).encode())
    assert "path leaves the checkpoint" in refuse(fetch, place, tmp_path)


@pytest.mark.parametrize("name", ["sub/model.safetensors", "modeling.py"])
def test_a_manifest_that_names_a_file_no_judge_has_is_refused(
    *, place: str, manifest: Manifest, put: Any, fetch: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    odd = manifest.files[0].model_copy(update={"path": name})
    files = tuple(sorted((*manifest.files, odd), key=lambda file: file.path))
    put(MANIFEST_NAME, canonical_json(Manifest(files=files)))
    assert name in refuse(fetch, place, tmp_path)


def test_an_object_that_is_not_there_or_not_open_is_refused(
    *, place: str, s3_host: Any, fetch: Callable[[str], Path], tmp_path: Path
) -> None:
    s3_host.client.delete_object(Bucket="models", Key=f"{PREFIX}/{WEIGHTS}")
    with pytest.raises(AgonError, match=f"{WEIGHTS}.*status 40[34]") as caught:
        fetch(place)
    assert caught.value.code == "judge_unavailable"
    s3_host.client.delete_bucket_policy(Bucket="models")
    assert "status 403" in refuse(fetch, place, tmp_path)


def test_a_dead_host_is_the_network_s_fault(fetch: Callable[[str], Path]) -> None:
    with pytest.raises(TransientError, match="store_unreachable"):
        fetch("s3://127.0.0.1:9/models/judges")


def test_a_private_host_serves_no_judge_on_a_public_network(place: str, tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="not on the public internet") as caught:
        fetch_judge(place, Settings.load(network="finney", cache=tmp_path / "cache"))
    assert caught.value.code == "judge_unavailable"


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An owner whose judge was found sound: these weights are no model; tests/ml publishes real ones."""
    monkeypatch.setattr(publishing, "check_judges", lambda judges: None)
    return Settings.load(network="embedded", s3_key_id="owner", s3_secret="secret")


def test_an_interrupted_publication_serves_nothing_and_is_completed(
    *,
    s3_host: Any,
    owner: Settings,
    judge: Path,
    manifest: Manifest,
    fetch: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3_host.open_prefix(f"{PREFIX}/")
    place, sent, real = f"s3://{s3_host.host}/models/{PREFIX}", list[str](), bucket_module.Bucket._call
    (judge / "training_args.bin").write_bytes(b"left out")

    def breaking(self: Any, operation: str, *expected: Any, **arguments: Any) -> Any:
        if operation == "put_object":
            if len(sent) == 2:
                raise TransientError("store_unreachable", "the line went dead")
            sent.append(arguments["Key"].rsplit("/")[-1])
        return real(self, operation, *expected, **arguments)

    monkeypatch.setattr(bucket_module.Bucket, "_call", breaking)
    with pytest.raises(TransientError):
        publish_judge(judge, place, owner)
    with pytest.raises(AgonError, match="judge_unavailable"):
        fetch(place)
    monkeypatch.setattr(bucket_module.Bucket, "_call", real)
    brought, bring = list[str](), bucket_module.Bucket.bring

    def noting(self: Any, key: str, source: Path, file: ManifestFile) -> None:
        brought.append(file.path)
        bring(self, key, source, file)

    monkeypatch.setattr(bucket_module.Bucket, "bring", noting)
    assert publish_judge(judge, place, owner) == PublishedJudge(
        source=f"{place}#{manifest.digest}",
        digest=manifest.digest,
        size_bytes=manifest.total_bytes,
        left_out=("training_args.bin",),
    )
    assert (sent, brought) == (["config.json", WEIGHTS], ["tokenizer.json"])
    assert build_manifest(fetch(f"{place}#{manifest.digest}")) == manifest


def test_a_publication_that_nobody_can_read_says_so(s3_host: Any, owner: Settings, judge: Path) -> None:
    with pytest.raises(AgonError, match=r"nobody can read it.*status 403") as caught:
        publish_judge(judge, f"s3://{s3_host.host}/models/{PREFIX}", owner)
    assert (caught.value.code, "Locators" in caught.value.help) == ("store_denied", True)


def test_without_keys_nothing_is_published(s3_host: Any, owner: Settings, judge: Path) -> None:
    with pytest.raises(AgonError, match=r"store_denied.*needs keys"):
        publish_judge(judge, f"s3://{s3_host.host}/models/{PREFIX}", Settings.load(network="embedded"))
    assert s3_host.objects() == {}


def test_the_hub_and_a_shared_directory_serve_what_was_published(
    hub: Any, judge: Path, manifest: Manifest, tmp_path: Path, owner: Settings
) -> None:
    (tmp_path / "store").mkdir()
    places = {"hf_endpoint": hub.url, "store": tmp_path / "store", "cache": tmp_path / "cache"}
    keys = Settings.load(network="embedded", hf_token="hf_test", **places)
    for place in ("hf://org/judge", "file:judge"):
        source = publish_judge(judge, place, keys).source
        assert source == f"{place}#{manifest.digest}"
        assert build_manifest(fetch_judge(source, Settings.load(network="embedded", **places))) == manifest


@pytest.mark.parametrize(("place", "code"), [("nowhere", "locator_invalid"), ("s3://x", "locator_invalid")])
def test_a_place_that_is_none_is_refused_first(owner: Settings, judge: Path, place: str, code: str) -> None:
    with pytest.raises(AgonError) as caught:
        publish_judge(judge / "absent", place, owner)
    assert caught.value.code == code


def test_a_directory_that_holds_no_judge_is_not_published(s3_host: Any, owner: Settings, judge: Path) -> None:
    (judge / WEIGHTS).unlink()
    with pytest.raises(AgonError, match=r"model\.safetensors missing") as caught:
        publish_judge(judge, f"s3://{s3_host.host}/models/{PREFIX}", owner)
    assert (caught.value.code, s3_host.objects()) == ("judge_unavailable", {})
