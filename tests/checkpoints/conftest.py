"""A tiny checkpoint, written by hand with numpy, and the rules that it satisfies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.tensors import BaseTable, architecture_digest, table_of
from shared.protocol.competition import Competition
from shared.protocol.loader import parse_competition, read_rules

RULES = Path(__file__).parents[1] / "rules.toml"

os.environ.setdefault("OMP_NUM_THREADS", "1")

Tensor = tuple[str, npt.NDArray[Any]]
SaveTensors = Callable[..., None]


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    header: dict[str, Any] = {"__metadata__": metadata or {"format": "pt"}}
    data = b""
    for name, (dtype, values) in tensors.items():
        raw = values.tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture(scope="session")
def save_tensors() -> SaveTensors:
    """`save(path, {name: (dtype, array)})` writes a safetensors file without the library."""
    return _save


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """The weights of the tiny base."""
    rng = np.random.default_rng(7)
    return {
        "embed": ("F32", rng.normal(size=(6, 4)).astype("<f4")),
        "layer.weight": ("F32", rng.normal(size=(4, 4)).astype("<f4")),
        "norm.bias": ("F32", np.zeros(4, "<f4")),
    }


@pytest.fixture
def base(tmp_path: Path, tensors: dict[str, Tensor]) -> Path:
    """Directory of the tiny base model."""
    root = tmp_path / "base"
    root.mkdir()
    _save(root / "model.safetensors", tensors)
    (root / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "vocab_size": 6}))
    return root


@pytest.fixture
def base_table(base: Path) -> BaseTable:
    """Names, shapes and norms of the tiny base."""
    return table_of(base)


@pytest.fixture
def rules_document(base: Path, base_table: BaseTable) -> dict[str, Any]:
    """Rules that the tiny base fits, as plain data."""
    document = read_rules(RULES)
    document["schedule"] |= {"round_blocks": 10, "fetch_blocks": 3, "grace_blocks": 1, "slots": 2}
    document["base"]["digest"] = build_manifest(base).digest
    document["architecture"] |= {
        "dtypes": ["float32", "bfloat16"],
        "table": architecture_digest(base_table),
    }
    return document


@pytest.fixture
def rules(rules_document: dict[str, Any]) -> Competition:
    """Rules that the tiny base fits."""
    return parse_competition(rules_document, source="test")
