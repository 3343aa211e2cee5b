"""Judges from directories and places: whole, pinned by digest, and never another one from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.chain.commitment import parse_locator
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.stores import open_store
from shared.errors import AgonError
from shared.settings import Settings
from validator.owner.judges.sources import fetch_judge


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "store").mkdir()
    return Settings.load(
        network="local", cache=tmp_path / "cache", store=tmp_path / "store", state=tmp_path / "state"
    )


def make_judge(place: Path, weights: bytes = b"weights") -> Path:
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(weights)
    for name in ("config.json", "tokenizer.json"):
        (place / name).write_text("{}")
    return place


def publish(judge: Path, name: str, settings: Settings) -> str:
    """Publish a judge's directory as `file:NAME`; the digest of its manifest."""
    manifest = build_manifest(judge)
    open_store(parse_locator(f"file:{name}"), settings).publish(judge, manifest)
    return manifest.digest


def test_a_directory_is_used_as_it_is(tmp_path: Path, settings: Settings) -> None:
    judge = make_judge(tmp_path / "judge")
    assert fetch_judge(str(judge), settings) == judge


def test_a_place_is_downloaded_and_each_place_gives_its_own(tmp_path: Path, settings: Settings) -> None:
    one, two = make_judge(tmp_path / "one"), make_judge(tmp_path / "two", b"other")
    digest = publish(one, "one", settings)
    publish(two, "two", settings)
    found = fetch_judge("file:one", settings)
    assert (found / "model.safetensors").read_bytes() == b"weights"
    assert (fetch_judge("file:two", settings) / "model.safetensors").read_bytes() == b"other"
    assert fetch_judge(f"file:one#{digest}", settings) == found
    with pytest.raises(AgonError) as caught:
        fetch_judge(f"file:two#{'sha256:' + '0' * 64}", settings)
    assert caught.value.code == "judge_unavailable"


def test_a_judge_on_the_hub_is_downloaded_whole(hub: Any, tmp_path: Path) -> None:
    judge = make_judge(tmp_path / "judge")
    owner = Settings.load(network="embedded", hf_endpoint=hub.url, hf_token="hf_test")
    store, manifest = open_store(parse_locator("hf://org/judge"), owner), build_manifest(judge)
    store.prepare(judge, manifest)
    store.publish(judge, manifest)
    reader = Settings.load(network="embedded", hf_endpoint=hub.url, cache=tmp_path / "cache")
    for source in ("hf://org/judge", f"hf://org/judge#{manifest.digest}"):
        assert build_manifest(fetch_judge(source, reader)) == manifest
    with pytest.raises(AgonError) as caught:
        fetch_judge("hf://org/absent", reader)
    assert caught.value.code == "judge_unavailable"


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, settings: Settings, missing: str) -> None:
    judge = make_judge(tmp_path / "judge")
    (judge / missing).unlink()
    with pytest.raises(AgonError, match=missing) as caught:
        fetch_judge(str(judge), settings)
    assert caught.value.code == "judge_unavailable"


@pytest.mark.parametrize(
    "source", ["no/such/directory", "file:absent", "file:a/../b", "hf://", "s3://x", "file:one#sha256:12"]
)
def test_a_wrong_source_is_refused(source: str, settings: Settings) -> None:
    with pytest.raises(AgonError) as caught:
        fetch_judge(source, settings)
    assert caught.value.code == "judge_unavailable"


def test_a_served_pickle_is_refused(tmp_path: Path, settings: Settings) -> None:
    judge = make_judge(tmp_path / "judge")
    (judge / "pytorch_model.bin").write_bytes(b"\x80")
    publish(judge, "odd", settings)
    with pytest.raises(AgonError, match="pickle"):
        fetch_judge("file:odd", settings)
