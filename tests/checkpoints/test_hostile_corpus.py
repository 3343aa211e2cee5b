"""Untrusted checkpoints: each hostile one is refused with its own code, before it can do harm."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.checkpoints.admission import findings, inspect
from shared.checkpoints.download import download
from shared.checkpoints.manifest import build_manifest, read_manifest, write_manifest
from shared.checkpoints.stores import FileStore, NotServed
from shared.checkpoints.tensors import BaseTable
from shared.errors import Rejection
from shared.protocol.competition import Competition
from shared.protocol.manifest import Manifest
from shared.protocol.wire import canonical_json, sha256_digest

WEIGHTS = "model.safetensors"
Damage = Callable[[Path, Any, dict[str, Any]], None]


def _rewrite_header(root: Path, change: Callable[[dict[str, Any]], str | None]) -> None:
    """Edit the header in place, keeping the data; `change` may return the text to write instead."""
    raw = (root / WEIGHTS).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    text = (change(header) or json.dumps(header)).encode()
    text += b" " * (-len(text) % 8)
    (root / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


def _pickle_file(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / "training_args.bin").write_bytes(pickle.dumps({"lr": 1}))


def _subfolder(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / "code").mkdir()
    (root / "code" / "modeling.py").write_text("import os")


def _truncated(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / WEIGHTS).write_bytes((root / WEIGHTS).read_bytes()[:-4])


def _trailing_bytes(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    with (root / WEIGHTS).open("ab") as file:
        file.write(b"PK\x03\x04")


def _length_lie(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    raw = (root / WEIGHTS).read_bytes()
    (root / WEIGHTS).write_bytes((2**62).to_bytes(8, "little") + raw[8:])


def _overlap(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    def change(header: dict[str, Any]) -> None:
        header["layer.weight"]["data_offsets"] = [0, 64]

    _rewrite_header(root, change)


def _duplicate_keys(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    def change(header: dict[str, Any]) -> str:
        text = json.dumps(header)
        return text[:-1] + ', "embed": ' + json.dumps(header["embed"]) + "}"

    _rewrite_header(root, change)


def _deep_json(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    _rewrite_header(root, lambda header: "[" * 50_000)


def _misaligned(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    flag = ("U8", np.ones(2, "u1"))
    save(root / WEIGHTS, {"flag": flag, **tensors})


def _wrong_shape(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    dtype, values = tensors["embed"]
    save(root / WEIGHTS, {**tensors, "embed": (dtype, values.reshape(4, 6))})


def _extra_tensor(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    save(root / WEIGHTS, {**tensors, "lm_head.weight": tensors["embed"]})


def _missing_tensor(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    save(root / WEIGHTS, {name: tensors[name] for name in ("embed", "layer.weight")})


def _forbidden_dtype(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    save(root / WEIGHTS, {**tensors, "embed": ("F64", tensors["embed"][1].astype("<f8"))})


def _float16(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    save(root / WEIGHTS, {**tensors, "embed": ("F16", tensors["embed"][1].astype("<f2"))})


def _nan(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    values = tensors["embed"][1].copy()
    values[3, 2] = np.nan
    save(root / WEIGHTS, {**tensors, "embed": ("F32", values)})


def _inf_in_bfloat16(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    values = (tensors["embed"][1].view("<u4") >> 16).astype("<u2")
    values[0, 0] = 0x7F80
    save(root / WEIGHTS, {**tensors, "embed": ("BF16", values)})


def _huge_weight(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    values = tensors["norm.bias"][1].copy()
    values[1] = 1e6
    save(root / WEIGHTS, {**tensors, "norm.bias": ("F32", values)})


def _huge_norm(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    save(root / WEIGHTS, {**tensors, "embed": ("F32", tensors["embed"][1] * np.float32(5))})


def _vanished_norm(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    save(root / WEIGHTS, {**tensors, "embed": ("F32", tensors["embed"][1] * np.float32(0.2))})


def _auto_map(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "auto_map": {"AutoModel": "evil.Model"}}
    (root / "config.json").write_text(json.dumps(config))


def _quantised(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "quantization_config": {}}
    (root / "config.json").write_text(json.dumps(config))


def _other_family(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / "config.json").write_text(json.dumps({"architectures": ["GPT2LMHeadModel"]}))


def _config_bomb(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / "config.json").write_text("[" * 60_000)


def _no_weights(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / WEIGHTS).unlink()


def _too_many_bytes(root: Path, save: Any, tensors: dict[str, Any]) -> None:
    (root / "README.md").write_bytes(b"x" * 100_001)


CORPUS: dict[str, tuple[Damage, str]] = {
    "pickle": (_pickle_file, "file_forbidden"),
    "code in a subfolder": (_subfolder, "file_forbidden"),
    "truncated weights": (_truncated, "header_invalid"),
    "trailing bytes": (_trailing_bytes, "header_invalid"),
    "header length lie": (_length_lie, "header_invalid"),
    "overlapping offsets": (_overlap, "header_invalid"),
    "duplicate keys": (_duplicate_keys, "header_invalid"),
    "deeply nested header": (_deep_json, "header_invalid"),
    "misaligned tensor": (_misaligned, "header_invalid"),
    "wrong shape": (_wrong_shape, "architecture_mismatch"),
    "extra tensor": (_extra_tensor, "architecture_mismatch"),
    "missing tensor": (_missing_tensor, "architecture_mismatch"),
    "no weights": (_no_weights, "architecture_mismatch"),
    "float64": (_forbidden_dtype, "dtype_forbidden"),
    "float16": (_float16, "dtype_forbidden"),
    "NaN": (_nan, "non_finite_weights"),
    "infinity in bfloat16": (_inf_in_bfloat16, "non_finite_weights"),
    "huge weight where the base is zero": (_huge_weight, "norm_out_of_bounds"),
    "huge norm": (_huge_norm, "norm_out_of_bounds"),
    "vanished norm": (_vanished_norm, "norm_out_of_bounds"),
    "auto_map": (_auto_map, "config_forbidden"),
    "quantised": (_quantised, "config_forbidden"),
    "another family": (_other_family, "config_forbidden"),
    "nested config": (_config_bomb, "config_forbidden"),
    "too many bytes": (_too_many_bytes, "too_large"),
}


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_checkpoint_is_refused_with_its_code(
    *, name: str, base: Path, save_tensors: Any, tensors: Any, rules: Competition, base_table: BaseTable
) -> None:
    damage, code = CORPUS[name]
    damage(base, save_tensors, tensors)
    manifest = build_manifest(base)
    with pytest.raises(Rejection) as refused:
        inspect(base, manifest, rules, base_table)
    listed = findings(base, manifest, rules, base_table)
    assert refused.value.code == code
    assert listed[0].to_dict() == refused.value.to_dict()
    assert {finding.code for finding in listed} == {code}


def test_bit_flip_after_packaging_is_found(base: Path, rules: Competition, base_table: BaseTable) -> None:
    manifest = build_manifest(base)
    raw = bytearray((base / WEIGHTS).read_bytes())
    raw[-5] ^= 1
    (base / WEIGHTS).write_bytes(raw)
    assert [finding.code for finding in findings(base, manifest, rules, base_table)] == ["digest_mismatch"]


def test_a_file_beside_the_manifest_is_refused(base: Path, rules: Competition, base_table: BaseTable) -> None:
    manifest = build_manifest(base)
    (base / "modeling.py").write_text("import os")
    with pytest.raises(Rejection, match=r"file_forbidden: 'modeling\.py' is not in the manifest"):
        inspect(base, manifest, rules, base_table)


def test_pickle_is_named_as_such(base: Path, rules: Competition, base_table: BaseTable) -> None:
    _pickle_file(base, None, {})
    with pytest.raises(Rejection, match=r"'training_args\.bin' is a pickle"):
        inspect(base, build_manifest(base), rules, base_table)


def test_all_findings_are_listed_at_once(
    base: Path, save_tensors: Any, tensors: Any, rules: Competition, base_table: BaseTable
) -> None:
    _nan(base, save_tensors, tensors)
    _pickle_file(base, save_tensors, tensors)
    _auto_map(base, save_tensors, tensors)
    codes = [finding.code for finding in findings(base, build_manifest(base), rules, base_table)]
    assert codes == ["file_forbidden", "config_forbidden", "non_finite_weights"]


def test_symlinks_are_never_packaged(base: Path) -> None:
    (base / "tokenizer.json").symlink_to("/etc/passwd")
    with pytest.raises(Rejection, match="file_forbidden"):
        build_manifest(base)


def test_sockets_and_pipes_are_never_packaged(base: Path) -> None:
    os.mkfifo(base / "tokenizer.json")
    with pytest.raises(Rejection, match="file_forbidden"):
        build_manifest(base)


@pytest.mark.parametrize("name", ["a\\b", "bad\udcff"])
def test_names_without_canonical_form_are_never_packaged(base: Path, name: str) -> None:
    (base / name).write_text("x")
    with pytest.raises(Rejection, match="manifest_invalid"):
        build_manifest(base)


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a/../b", "a//b", "./a", "a\\b", "a\0b", "", ".."])
def test_traversal_paths_in_a_manifest_are_refused(path: str) -> None:
    entry = {"path": path, "size_bytes": 1, "digest": "sha256:" + "0" * 64}
    document = {"version": "agon-manifest/1", "files": [entry], "lineage": None}
    with pytest.raises(Rejection, match="manifest_invalid"):
        read_manifest(canonical_json(document))


def test_a_size_beyond_all_files_is_refused() -> None:
    entry = {"path": "a", "size_bytes": 2**60, "digest": "sha256:" + "0" * 64}
    data = json.dumps({"files": [entry], "lineage": None, "version": "agon-manifest/1"}).encode()
    with pytest.raises(Rejection, match="manifest_invalid"):
        read_manifest(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b'{"files":[],"lineage":null,"version":"agon-manifest/1"}',
        b"[" * 100_000,
        b" " * 300_000,
    ],
)
def test_manifests_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(Rejection, match="manifest_invalid"):
        read_manifest(data)


def test_a_manifest_has_one_spelling(base: Path) -> None:
    manifest = build_manifest(base)
    data = canonical_json(manifest)
    assert read_manifest(data) == manifest
    assert sha256_digest(data) == manifest.digest
    for other in (data + b"\n", data.replace(b'":', b'": ', 1), data.replace(b":62", b':"62"', 1)):
        if other != data:
            with pytest.raises(Rejection, match="manifest_invalid"):
                read_manifest(other)


class _Growing(FileStore):
    """A store whose weights never end."""

    asked_bytes = 0

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        yield from super().stream(path, offset=offset)
        while path == WEIGHTS:
            self.asked_bytes += 1000
            yield b"x" * 1000


def _serve(base: Path, tmp_path: Path, kind: type[FileStore] = FileStore) -> tuple[FileStore, Manifest]:
    (tmp_path / "store").mkdir()
    store = kind(tmp_path / "store", "mine")
    manifest = build_manifest(base)
    FileStore(tmp_path / "store", "mine").publish(base, manifest)
    return store, manifest


def test_a_file_that_grows_while_streaming_is_cut_off(base: Path, tmp_path: Path, rules: Competition) -> None:
    store, manifest = _serve(base, tmp_path, _Growing)
    with pytest.raises(Rejection, match="digest_mismatch"):
        download(store, binds=manifest.digest.__eq__, limits=rules.architecture.limits, cache=tmp_path / "c")
    assert isinstance(store, _Growing)
    assert store.asked_bytes == 1000
    assert not list((tmp_path / "c").rglob(WEIGHTS + "*"))


def test_a_manifest_changed_after_the_commit_is_not_the_committed_one(
    base: Path, tmp_path: Path, rules: Competition
) -> None:
    store, manifest = _serve(base, tmp_path)
    (base / "README.md").write_text("later")
    write_manifest(tmp_path / "store" / "mine", build_manifest(base))
    with pytest.raises(NotServed, match="commitment_mismatch"):
        download(store, binds=manifest.digest.__eq__, limits=rules.architecture.limits, cache=tmp_path / "c")


def test_an_oversize_manifest_is_not_read_to_its_end(base: Path, tmp_path: Path, rules: Competition) -> None:
    store, manifest = _serve(base, tmp_path)
    with (tmp_path / "store" / "mine" / "manifest.json").open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(Rejection, match="too_large"):
        download(store, binds=manifest.digest.__eq__, limits=rules.architecture.limits, cache=tmp_path / "c")


def test_a_link_in_the_store_serves_nothing(base: Path, tmp_path: Path, rules: Competition) -> None:
    store, manifest = _serve(base, tmp_path)
    weights = tmp_path / "store" / "mine" / WEIGHTS
    weights.unlink()
    weights.symlink_to("/dev/zero")
    with pytest.raises(NotServed, match="withheld"):
        download(store, binds=manifest.digest.__eq__, limits=rules.architecture.limits, cache=tmp_path / "c")


def test_too_many_files_are_refused_before_any_weights_are_fetched(
    base: Path, tmp_path: Path, rules: Competition
) -> None:
    (base / "extra.bin").write_bytes(b"x")
    store, manifest = _serve(base, tmp_path)
    limits = rules.architecture.limits.model_copy(update={"files": 2})
    with pytest.raises(Rejection, match="too_large: 3 files; the limit is 2"):
        download(store, binds=manifest.digest.__eq__, limits=limits, cache=tmp_path / "c")
    with pytest.raises(Rejection, match="file_forbidden"):
        download(store, binds=manifest.digest.__eq__, limits=rules.architecture.limits, cache=tmp_path / "c")
    assert not (tmp_path / "c").exists()
