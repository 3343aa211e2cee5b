"""The `s3://` store against moto's S3 server: private until published, resumed, read without keys."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shared.checkpoints.stores.s3.bucket as bucket_module
from shared.chain.commitment import parse_locator
from shared.checkpoints.download import download
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.stores import NotServed, Store, open_store
from shared.errors import AgonError, TransientError
from shared.protocol.competition import CheckpointLimits, Competition
from shared.protocol.manifest import Manifest
from shared.settings import Settings

WEIGHTS = "model.safetensors"


@pytest.fixture
def limits(rules: Competition) -> CheckpointLimits:
    return rules.architecture.limits


@pytest.fixture
def manifest(base: Path) -> Manifest:
    return build_manifest(base)


@pytest.fixture
def place(s3_host: Any) -> Any:
    """The host, with a prefix that everybody may read."""
    s3_host.open_prefix("mine/")
    return s3_host


@pytest.fixture
def many_parts(monkeypatch: pytest.MonkeyPatch, base: Path) -> Manifest:
    """A checkpoint that is uploaded in three parts and copied in two."""
    monkeypatch.setattr(bucket_module, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(bucket_module, "COPY_PART_BYTES", 6 << 20)
    rng = np.random.default_rng(3)
    (base / WEIGHTS).write_bytes(rng.bytes((11 << 20) + 1))
    return build_manifest(base)


def _open(host: Any, *, keys: bool = True, **more: Any) -> Store:
    if keys:
        more = {"s3_key_id": "owner", "s3_secret": "secret", **more}
    settings = Settings.load(network="embedded", **more)
    return open_store(parse_locator(f"s3://{host.host}/models/mine"), settings)


def _staged(manifest: Manifest) -> dict[str, int]:
    root = f"agon-staging/{manifest.digest.removeprefix('sha256:')}"
    return {f"{root}/{file.path}": file.size_bytes for file in manifest.files}


def test_files_are_private_until_published_and_whole_afterwards(
    *, place: Any, base: Path, manifest: Manifest, limits: CheckpointLimits, tmp_path: Path
) -> None:
    miner, public = _open(place), _open(place, keys=False)
    miner.prepare(base, manifest)
    assert place.objects() == _staged(manifest)
    for path in ("manifest.json", WEIGHTS):
        with pytest.raises(NotServed):
            public.read(path, limit_bytes=10**6)
    miner.publish(base, manifest)
    listed = {f"mine/{file.path}": file.size_bytes for file in manifest.files}
    assert {*place.objects()} == {*listed, "mine/manifest.json"}
    fetched = download(
        _open(place, keys=False), binds=manifest.digest.__eq__, limits=limits, cache=tmp_path / "cache"
    )
    assert build_manifest(fetched.path) == manifest


def test_the_manifest_is_published_last(
    place: Any, base: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = bucket_module.Bucket._call

    def noting(self: Any, operation: str, *expected: Any, **arguments: Any) -> Any:
        if operation != "head_object":
            order.append(f"{operation} {arguments['Key'].rsplit('/')[-1]}")
        return real(self, operation, *expected, **arguments)

    store = _open(place)
    store.prepare(base, manifest)
    monkeypatch.setattr(bucket_module.Bucket, "_call", noting)
    store.publish(base, manifest)
    assert order[:4] == [
        "delete_object manifest.json",
        "copy_object config.json",
        f"copy_object {WEIGHTS}",
        "put_object manifest.json",
    ]


def test_a_broken_download_goes_on_at_an_offset(place: Any, base: Path, manifest: Manifest) -> None:
    store, data = _open(place), (base / WEIGHTS).read_bytes()
    store.publish(base, manifest)
    assert b"".join(store.stream(WEIGHTS, offset=100)) == data[100:]
    assert b"".join(store.stream(WEIGHTS, offset=len(data))) == b""


def test_an_object_replaced_while_it_is_read_is_not_mixed(place: Any, base: Path, manifest: Manifest) -> None:
    store = _open(place)
    store.publish(base, manifest)
    reader = _open(place, keys=False)
    assert b"".join(reader.stream(WEIGHTS)) == (base / WEIGHTS).read_bytes()
    place.client.put_object(Bucket="models", Key=f"mine/{WEIGHTS}", Body=b"x" * 500)
    with pytest.raises(NotServed, match="changed while it was read"):
        b"".join(reader.stream(WEIGHTS, offset=100))
    place.client.delete_object(Bucket="models", Key=f"mine/{WEIGHTS}")
    with pytest.raises(NotServed):
        b"".join(_open(place, keys=False).stream(WEIGHTS))


def test_a_host_that_ignores_the_pin_is_caught(place: Any, base: Path, manifest: Manifest) -> None:
    store = _open(place)
    store.publish(base, manifest)
    store._etags[WEIGHTS] = "*"  # type: ignore[attr-defined]  # every host honours this one
    with pytest.raises(NotServed, match="changed while it was read"):
        b"".join(store.stream(WEIGHTS))


def test_what_is_there_already_is_not_uploaded_again(
    place: Any, base: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _open(place)
    store.prepare(base, manifest)
    store.publish(base, manifest)
    brought: list[str] = []
    monkeypatch.setattr(bucket_module.Bucket, "bring", lambda *given: brought.append(given[1]))
    store.publish(base, manifest)
    assert brought == []
    key = f"mine/{WEIGHTS}"
    place.client.put_object(Bucket="models", Key=key, Body=(base / WEIGHTS).read_bytes()[:-1] + b"x")
    store.publish(base, manifest)
    assert brought == [key]


def test_a_large_upload_goes_on_with_the_parts_that_are_missing(
    *, place: Any, base: Path, many_parts: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    real = bucket_module.Bucket._call

    def breaking(self: Any, operation: str, *expected: Any, **arguments: Any) -> Any:
        if operation == "upload_part":
            if len(sent) == 2:
                sent.clear()
                raise TransientError("store_unreachable", "the line went dead")
            sent.append(arguments["PartNumber"])
        return real(self, operation, *expected, **arguments)

    store = _open(place)
    monkeypatch.setattr(bucket_module.Bucket, "_call", breaking)
    with pytest.raises(TransientError):
        store.prepare(base, many_parts)
    assert f"agon-staging/{many_parts.digest[7:]}/{WEIGHTS}" not in place.objects()
    store.prepare(base, many_parts)
    assert sent == [3]
    store.publish(base, many_parts)
    assert b"".join(store.stream(WEIGHTS)) == (base / WEIGHTS).read_bytes()


def test_a_package_that_changed_is_not_uploaded(place: Any, base: Path, manifest: Manifest) -> None:
    (base / "config.json").write_bytes(b"x" * 56)
    with pytest.raises(AgonError, match="digest_mismatch"):
        _open(place).publish(base, manifest)
    assert place.objects() == {}


def test_a_large_package_that_changed_leaves_no_unfinished_upload(
    place: Any, base: Path, many_parts: Manifest
) -> None:
    with (base / WEIGHTS).open("r+b") as file:
        file.write(b"changed")
    with pytest.raises(AgonError, match="digest_mismatch"):
        _open(place).publish(base, many_parts)
    assert "Uploads" not in place.client.list_multipart_uploads(Bucket="models")


def test_files_are_not_brought_where_everybody_can_read(s3_host: Any, base: Path, manifest: Manifest) -> None:
    s3_host.open_prefix("")
    with pytest.raises(AgonError, match="store_exposed"):
        _open(s3_host).prepare(base, manifest)
    assert s3_host.objects() == {}
    s3_host.client.create_bucket(Bucket="private")
    _open(s3_host, s3_staging="private").prepare(base, manifest)
    assert (s3_host.objects(), s3_host.objects("private")) == ({}, _staged(manifest))


def test_a_locator_that_nobody_could_read_is_told_before_the_commit(
    s3_host: Any, base: Path, manifest: Manifest
) -> None:
    with pytest.raises(AgonError, match=r"nobody could read what is published.*status 403"):
        _open(s3_host).prepare(base, manifest)
    assert s3_host.objects() == {}


def test_without_keys_or_a_bucket_nothing_is_uploaded(place: Any, base: Path, manifest: Manifest) -> None:
    with pytest.raises(AgonError, match=r"store_denied.*needs keys"):
        _open(place, keys=False).prepare(base, manifest)
    with pytest.raises(AgonError, match="store_denied"):
        _open(place, s3_bucket="missing").publish(base, manifest)


def test_only_writing_needs_the_extra(
    place: Any, base: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _open(place).publish(base, manifest)
    monkeypatch.setitem(sys.modules, "botocore", None)
    assert _open(place).read("manifest.json", limit_bytes=10**6)
    monkeypatch.setattr("shared.checkpoints.stores.s3.store.find_spec", lambda name: None)
    with pytest.raises(AgonError) as caught:
        _open(place).publish(base, manifest)
    assert (caught.value.code, "agon[s3]" in caught.value.help) == ("store_denied", True)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("QuotaExceeded", 403, "store_full"),
        ("XMinioAdminBucketQuotaExceeded", 400, "store_full"),
        ("", 507, "store_full"),
        ("AccessDenied", 403, "store_denied"),
        ("InvalidAccessKeyId", 403, "store_denied"),
        ("SlowDown", 503, "store_unreachable"),
        ("InternalError", 500, "store_unreachable"),
    ],
)
def test_a_refused_upload_says_who_has_to_act(
    *,
    place: Any,
    base: Path,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    status: int,
    said: str,
) -> None:
    from botocore.exceptions import ClientError

    class _Refusing:
        def __getattr__(self, operation: str) -> Any:
            def refuse(**arguments: Any) -> Any:
                answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
                raise ClientError(answer, operation)

            return refuse

    monkeypatch.setattr(bucket_module.Keys, "client", _Refusing())
    with pytest.raises(AgonError) as caught:
        _open(place).publish(base, manifest)
    assert caught.value.code == said
    assert isinstance(caught.value, TransientError) == (said == "store_unreachable")


def test_a_dead_host_is_asked_again_later(base: Path, manifest: Manifest) -> None:
    settings = Settings.load(network="embedded", s3_key_id="owner", s3_secret="secret")
    store = open_store(parse_locator("s3://127.0.0.1:9/models/mine"), settings)
    with pytest.raises(TransientError, match="store_unreachable"):
        store.read("manifest.json", limit_bytes=100)


def test_a_bucket_behind_its_own_domain_is_written_through_its_api(
    place: Any, base: Path, manifest: Manifest
) -> None:
    settings = Settings.load(
        network="finney",
        s3_key_id="owner",
        s3_secret="secret",
        s3_endpoint=place.url,
        s3_bucket="models",
    )
    store = open_store(parse_locator("s3://files.example/agon/mine"), settings)
    store.publish(base, manifest)
    assert "agon/mine/manifest.json" in place.objects()


def test_a_log_is_written_where_everybody_reads_it(place: Any) -> None:
    store = _open(place)
    store.write("log.jsonl", b"one\n")
    assert _open(place, keys=False).read("log.jsonl", limit_bytes=100) == b"one\n"
    store.write("log.jsonl", b"one\ntwo\n")
    assert store.read("log.jsonl", limit_bytes=100) == b"one\ntwo\n"
