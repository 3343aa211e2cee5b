"""Sound checkpoints are admitted, and equal tensors have equal roots however they are stored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.checkpoints.admission import Admission, findings, inspect
from shared.checkpoints.manifest import build_manifest, load_manifest, write_manifest
from shared.checkpoints.tensors import BaseTable, architecture_digest, table_of, tensor_root
from shared.errors import Rejection
from shared.protocol.competition import Competition
from shared.protocol.manifest import Lineage
from shared.protocol.wire import digest_of, sha256_digest

WEIGHTS = "model.safetensors"


def test_the_base_itself_is_sound(
    base: Path, tensors: Any, rules: Competition, base_table: BaseTable
) -> None:
    admission = inspect(base, build_manifest(base), rules, base_table)
    stats = admission.tensors["embed"]
    values = tensors["embed"][1]
    assert (stats.dtype, stats.shape) == ("F32", (6, 4))
    assert stats.digest == sha256_digest(values.tobytes())
    assert stats.max_abs == float(np.abs(values).max())
    assert math.isclose(stats.norm, math.sqrt(float(np.square(values, dtype="<f8").sum())), rel_tol=1e-12)
    assert admission == Admission(tensor_root(admission.tensors), admission.tensors)
    assert findings(base, build_manifest(base), rules, base_table) == []


def test_rounding_to_bfloat16_is_admitted_as_other_tensors(
    *, base: Path, save_tensors: Any, tensors: Any, rules: Competition, base_table: BaseTable
) -> None:
    exact = inspect(base, build_manifest(base), rules, base_table)
    rounded = {
        name: ("BF16", (values.view("<u4") >> 16).astype("<u2")) for name, (_, values) in tensors.items()
    }
    save_tensors(base / WEIGHTS, rounded)
    admission = inspect(base, build_manifest(base), rules, base_table)
    assert admission.tensor_root != exact.tensor_root
    for name, stats in admission.tensors.items():
        assert stats.norm == pytest.approx(exact.tensors[name].norm, rel=1e-2)


def test_the_root_ignores_order_and_metadata_of_the_file(
    *, base: Path, save_tensors: Any, tensors: Any, rules: Competition, base_table: BaseTable
) -> None:
    before = inspect(base, build_manifest(base), rules, base_table).tensor_root
    save_tensors(base / WEIGHTS, dict(reversed(tensors.items())), {"made": "by a copier"})
    assert inspect(base, build_manifest(base), rules, base_table).tensor_root == before
    tensors["embed"][1][0, 0] += np.float32(1e-3)
    save_tensors(base / WEIGHTS, tensors)
    assert inspect(base, build_manifest(base), rules, base_table).tensor_root != before


def test_tensors_longer_than_a_chunk_are_measured_whole(tmp_path: Path, save_tensors: Any) -> None:
    values = np.full((700, 1000), 0.5, "<f4")
    values[-1, -1] = -2.0
    save_tensors(tmp_path / WEIGHTS, {"t": ("F32", values)})
    table = table_of(tmp_path)
    assert table.tensors["t"].norm == math.sqrt(699_999 * 0.25 + 4.0)


def test_float64_accumulation_keeps_small_differences(tmp_path: Path, save_tensors: Any) -> None:
    values = np.full(1 << 20, 1e-4, "<f4")
    values[0] = 100.0
    save_tensors(tmp_path / WEIGHTS, {"t": ("F32", values)})
    expected = math.sqrt(math.fsum(float(value) ** 2 for value in values))
    assert math.isclose(table_of(tmp_path).tensors["t"].norm, expected, rel_tol=1e-14)


def test_metadata_files_are_tolerated_and_config_is_optional(
    base: Path, rules: Competition, base_table: BaseTable
) -> None:
    (base / "config.json").unlink()
    for name in ("README.md", "tokenizer.json", "chat_template.jinja"):
        (base / name).write_text("{}")
    assert findings(base, build_manifest(base), rules, base_table) == []


def test_the_architecture_digest_covers_names_and_shapes_only(base_table: BaseTable) -> None:
    shapes = {"embed": [6, 4], "layer.weight": [4, 4], "norm.bias": [4]}
    assert architecture_digest(base_table) == digest_of(shapes)


def test_a_base_that_is_not_finite_has_no_table(tmp_path: Path, save_tensors: Any) -> None:
    save_tensors(tmp_path / WEIGHTS, {"t": ("F32", np.array([np.inf], "<f4"))})
    with pytest.raises(Rejection, match="non_finite_weights"):
        table_of(tmp_path)


def test_the_manifest_survives_the_disk_and_leaves_itself_out(base: Path) -> None:
    lineage = Lineage(parent=digest_of({}), recipe="dpo", config=digest_of([]))
    manifest = build_manifest(base, lineage=lineage)
    write_manifest(base, manifest)
    assert load_manifest(base) == manifest
    assert build_manifest(base, lineage=lineage) == manifest
    assert [file.path for file in manifest.files] == ["config.json", "model.safetensors"]
    assert json.loads((base / "manifest.json").read_bytes())["lineage"]["recipe"] == "dpo"


def test_two_directories_with_equal_files_have_one_manifest(base: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    for path in sorted(base.iterdir(), reverse=True):
        (other / path.name).write_bytes(path.read_bytes())
    assert build_manifest(other).digest == build_manifest(base).digest
