"""Measurements of the tensors in a safetensors file: norm, peak and digest, in one pass with numpy.

Admission and the bundle call it after the header was checked. It reads through plain file reads in
bounded memory, not through a memory map, because a mapped file that shrinks kills its reader. No torch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from pydantic import Field

from shared.checkpoints.allowlist import WEIGHTS_NAME
from shared.checkpoints.files import CHUNK_BYTES, open_regular
from shared.checkpoints.headers import TensorHeader, read_header
from shared.errors import Rejection
from shared.protocol.merkle import merkle_root
from shared.protocol.wire import Wire, canonical_json, digest_of
from shared.types import Digest

FLOAT_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""Dtypes that can be measured, as the rules of a competition call them."""


@dataclass(frozen=True)
class TensorStats:
    """One tensor as it was read; norm and peak are NaN or infinite when a weight is."""

    dtype: str
    shape: tuple[int, ...]
    norm: float
    """Frobenius norm, accumulated in float64."""
    max_abs: float
    digest: Digest
    """sha256 of the tensor's bytes as stored."""


class BaseTensor(Wire):
    """What the base says about one tensor."""

    shape: tuple[int, ...]
    norm: float = Field(ge=0)
    """Frobenius norm of the base's tensor."""


class BaseTable(Wire):
    """Names, shapes and norms of the base's tensors: what every checkpoint is held against."""

    tensors: dict[str, BaseTensor] = Field(min_length=1)


def measure(root: Path, tensors: dict[str, TensorHeader]) -> Iterator[tuple[str, TensorStats]]:
    """Stats of each tensor of the tensors file below `root`, in the order of the file.

    Tensors must have a dtype of `FLOAT_NAMES`. Raises Rejection `header_invalid` when the file ends
    before a tensor does.
    """
    with open_regular(root, WEIGHTS_NAME) as file:
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
            yield name, _measure_one(file, name, tensor)


def table_of(root: Path) -> BaseTable:
    """The table of the checkpoint below `root`. Raises Rejection when it is not a sound base."""
    header = read_header(root, WEIGHTS_NAME)
    for name, tensor in header.items():
        if tensor.dtype not in FLOAT_NAMES:
            raise Rejection("dtype_forbidden", f"tensor {name!r} has dtype {tensor.dtype}")
    rows = {}
    for name, stats in measure(root, header):
        if not math.isfinite(stats.norm):
            raise Rejection("non_finite_weights", f"tensor {name!r} is not finite")
        rows[name] = BaseTensor(shape=stats.shape, norm=stats.norm)
    return BaseTable(tensors=rows)


def architecture_digest(table: BaseTable) -> Digest:
    """Digest of {tensor name: shape}: the field `architecture.table` of the rules."""
    return digest_of({name: list(row.shape) for name, row in table.tensors.items()})


def tensor_root(tensors: dict[str, TensorStats]) -> Digest:
    """Merkle root over name, dtype, shape and digest of the tensors in the order of their names.

    Two files with equal tensors have equal roots, however their headers and offsets are arranged.
    """
    leaves = [
        canonical_json({"name": name, "dtype": t.dtype, "shape": list(t.shape), "digest": t.digest})
        for name, t in sorted(tensors.items())
    ]
    return merkle_root(leaves)


def _measure_one(file: BinaryIO, name: str, tensor: TensorHeader) -> TensorStats:
    hasher, peak, squares = hashlib.sha256(), 0.0, 0.0
    file.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left:
        # CHUNK_BYTES is a multiple of every item size, so a full read holds whole elements
        wanted = min(left, CHUNK_BYTES)
        data = file.read(wanted)
        if len(data) < wanted:
            raise Rejection("header_invalid", f"the file ends inside tensor {name!r}")
        left -= wanted
        hasher.update(data)
        values = _to_float32(data, tensor.dtype)
        # np.max lets NaN through, so a non-finite weight always shows in the peak
        peak = float(np.maximum(peak, np.abs(values).max()))
        squares += float(np.square(values, dtype=np.float64).sum())
    digest = Digest("sha256:" + hasher.hexdigest())
    return TensorStats(tensor.dtype, tensor.shape, math.sqrt(squares), peak, digest)


def _to_float32(data: bytes, dtype: str) -> npt.NDArray[np.float32]:
    if dtype == "F32":
        return np.frombuffer(data, dtype="<f4")
    if dtype == "F16":
        return np.frombuffer(data, dtype="<f2").astype(np.float32)
    # bfloat16 is the upper half of a float32
    return (np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
