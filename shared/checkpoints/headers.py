"""The header of a safetensors file, parsed by our own rules before anything else may open it.

Admission calls it on a stranger's bytes. Every byte of the data section must belong to exactly one
tensor, every number must be what it says, and whatever is odd is a Rejection, never another error.
Format: 8 bytes little-endian header length, JSON, data (github.com/huggingface/safetensors).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from shared.checkpoints.files import open_regular
from shared.errors import Rejection

HEADER_LIMIT_BYTES = 4 << 20
METADATA_LIMIT_BYTES = 64 << 10
MAX_DIMENSIONS = 8
ALIGNMENT_BYTES = 8

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}
"""Bytes per element of each dtype that has whole bytes."""


@dataclass(frozen=True)
class TensorHeader:
    """Where one tensor lies; `begin` and `end` count bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def items(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_header(root: Path, path: str) -> dict[str, TensorHeader]:
    """The header of the file at `path` below `root`, by tensor name.

    Raises Rejection `header_invalid`.
    """
    try:
        with open_regular(root, path) as file:
            return parse_header(file, size_bytes=file.seek(0, 2))
    except OSError as error:
        raise Rejection("header_invalid", f"cannot read {path}: {error.strerror}") from error


def parse_header(file: BinaryIO, *, size_bytes: int) -> dict[str, TensorHeader]:
    """The header of a seekable file of `size_bytes`. Raises Rejection `header_invalid`."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    data_start = 8 + length
    if size_bytes < 8 or data_start > size_bytes:
        _refuse(f"header length {length} reaches beyond the file's {size_bytes} bytes")
    if length > HEADER_LIMIT_BYTES:
        _refuse(f"header has {length} bytes; the limit is {HEADER_LIMIT_BYTES}")
    if data_start % ALIGNMENT_BYTES:
        _refuse(f"data starts at byte {data_start}, which is not a multiple of {ALIGNMENT_BYTES}")
    document = _parse_json(file.read(length))
    _check_metadata(document.pop("__metadata__", {}))
    if not document:
        _refuse("the file holds no tensors")
    tensors = {name: _parse_tensor(name, entry, data_start) for name, entry in document.items()}
    _check_layout(tensors, data_start, size_bytes)
    return tensors


def unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON object hook that refuses duplicate keys, where two readers could disagree; ValueError."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate key")
    return document


def _parse_json(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
        document = json.loads(text, object_pairs_hook=unique_object, parse_int=_strict_int)
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text
    except (ValueError, RecursionError) as error:
        _refuse(f"header is not JSON: {error}")
    if not isinstance(document, dict):
        _refuse("header is not a JSON object")
    return document


def _strict_int(digits: str) -> int:
    """Minus zero is an integer to Python and none to the loader that reads the file next."""
    if digits == "-0":
        raise ValueError("minus zero")
    return int(digits)


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        _refuse("__metadata__ is not a map of texts")
    if sum(len(key) + len(text) for key, text in metadata.items()) > METADATA_LIMIT_BYTES:
        _refuse(f"__metadata__ holds more than {METADATA_LIMIT_BYTES} characters")


def _parse_tensor(name: str, entry: Any, data_start: int) -> TensorHeader:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(f"tensor {name!r} needs exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        _refuse(f"tensor {name!r} has an unknown dtype")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        _refuse(f"tensor {name!r} has a shape that is not a short list of counts")
    if not _are_counts(offsets) or len(offsets) != 2:
        _refuse(f"tensor {name!r} has data_offsets that are not two counts")
    begin, end = offsets
    if end - begin != math.prod(shape) * ITEM_BYTES[dtype]:
        _refuse(f"tensor {name!r} has offsets that differ from its shape and dtype")
    # torch views storage in place and fails on offsets that are not whole elements
    if begin % ITEM_BYTES[dtype]:
        _refuse(f"tensor {name!r} is not aligned to its dtype")
    return TensorHeader(dtype, tuple(shape), data_start + begin, data_start + end)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**53 for value in values)


def _check_layout(tensors: dict[str, TensorHeader], data_start: int, size_bytes: int) -> None:
    position = data_start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != position:
            kind = "overlaps the one before it" if tensor.begin < position else "leaves a gap before it"
            _refuse(f"tensor {name!r} {kind}")
        position = tensor.end
    if position != size_bytes:
        _refuse(f"tensors end at byte {position} of a file of {size_bytes} bytes")


def _refuse(message: str) -> NoReturn:
    raise Rejection("header_invalid", message)
