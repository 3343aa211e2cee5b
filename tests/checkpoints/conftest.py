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
from shared.competition import parse_competition
from shared.models.competition import Competition

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
    zero = "sha256:" + "0" * 64
    return {
        "name": "tiny",
        "schedule": {"start_block": 0, "round_blocks": 10, "fetch_blocks": 3, "grace_blocks": 1, "slots": 2},
        "base": {"digest": build_manifest(base).digest},
        "architecture": {
            "family": "LlamaForCausalLM",
            "dtypes": ["float32", "bfloat16"],
            "table": architecture_digest(base_table),
            "limits": {"bytes": 100_000, "files": 8, "max_abs": 100.0, "norm_ratio": 4.0},
        },
        "sampling": {
            "limits": {"prompt_tokens": 8, "new_tokens": 4},
            "temperature": 1.0,
            "samples": {"challenger": 1, "champion": 1},
            "engine": {"threads": 1, "batch": 4},
            "stop_ids": [0],
        },
        "slices": [
            {
                "name": "words",
                "kind": "verifier:word-limit-1",
                "weight": 1,
                "pool": {"root": zero, "size": 60, "clusters": 50},
                "reference": zero,
            }
        ],
        "judging": {
            "disagreement_penalty": 0.0,
            "gated_percentile": 0.05,
            "nll_quantile": 0.999,
            "kl_budget": 30.0,
            "judge_set_rounds": 2,
        },
        "duel": {
            "alpha": 0.05,
            "beta": 0.05,
            "horizon_rounds": 100,
            "margin": 0.01,
            "planning_effect": 0.05,
            "prompts": {"look": 4, "min": 8, "max": 32, "carried_rounds": 1, "gain": 24, "identity": 8},
            "slice_tolerance": 0.15,
        },
        "payout": {"full_gain": 0.1, "half_life_rounds": 5, "rebase_at": 0.75},
    }


@pytest.fixture
def rules(rules_document: dict[str, Any]) -> Competition:
    """Rules that the tiny base fits."""
    return parse_competition(rules_document, source="test")
