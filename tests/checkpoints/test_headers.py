"""The header parser: agrees with the safetensors library on sound files, refuses everything else."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checkpoints.headers import TensorHeader, parse_header, read_header
from shared.errors import Rejection


def _parse(header: Any, data_bytes: int) -> dict[str, TensorHeader]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    raw = len(text).to_bytes(8, "little") + text + bytes(data_bytes)
    return parse_header(io.BytesIO(raw), size_bytes=len(raw))


def _entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


def test_offsets_count_from_the_start_of_the_file(tmp_path: Path, save_tensors: Any) -> None:
    save_tensors(
        tmp_path / "w", {"b": ("F32", np.ones((2, 3), "<f4")), "a": ("BF16", np.ones((2, 2), "<u2"))}
    )
    start = (tmp_path / "w").stat().st_size - 32
    assert read_header(tmp_path, "w") == {
        "b": TensorHeader("F32", (2, 3), start, start + 24),
        "a": TensorHeader("BF16", (2, 2), start + 24, start + 32),
    }


def test_scalars_and_empty_tensors_are_tensors() -> None:
    header = {"e": _entry(shape=[0], data_offsets=[4, 4]), "s": _entry(shape=[], data_offsets=[0, 4])}
    assert {name: tensor.items for name, tensor in _parse(header, 4).items()} == {"e": 0, "s": 1}


def test_the_library_s_own_files_are_accepted(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays = {"x.y": np.arange(6, dtype="<f4").reshape(2, 3), "z": np.ones(3, "<f2")}
    save_file(arrays, tmp_path / "w", metadata={"format": "pt"})
    parsed = read_header(tmp_path, "w")
    assert {name: (t.dtype, t.shape) for name, t in parsed.items()} == {
        "x.y": ("F32", (2, 3)),
        "z": ("F16", (3,)),
    }


@pytest.mark.parametrize(
    ("header", "data_bytes"),
    [
        pytest.param([], 0, id="not an object"),
        pytest.param({}, 0, id="no tensors"),
        pytest.param(b'{"t":', 0, id="not JSON"),
        pytest.param(b"\xff\xfe{}", 0, id="not UTF-8"),
        pytest.param(b'{"t":' + b"9" * 5000 + b"}", 0, id="endless number"),
        pytest.param(b'{"t":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}', 8, id="minus zero"),
        pytest.param({"t": _entry(), "__metadata__": {"a": "\ud800"}}, 8, id="half a character"),
        pytest.param({"t": _entry(), "__metadata__": {"a": 1}}, 8, id="metadata of numbers"),
        pytest.param({"t": _entry(), "__metadata__": []}, 8, id="metadata list"),
        pytest.param({"t": _entry(), "__metadata__": {"a": "x" * 70_000}}, 8, id="metadata too long"),
        pytest.param({"t": _entry(more=1)}, 8, id="unknown key"),
        pytest.param({"t": {"dtype": "F32", "shape": [2]}}, 8, id="no offsets"),
        pytest.param({"t": 5}, 8, id="entry is a number"),
        pytest.param({"t": _entry(dtype="float32")}, 8, id="unknown dtype"),
        pytest.param({"t": _entry(dtype=["F32"])}, 8, id="dtype list"),
        pytest.param({"t": _entry(shape=[-2])}, 8, id="negative shape"),
        pytest.param({"t": _entry(shape=[2.0])}, 8, id="fractional shape"),
        pytest.param({"t": _entry(shape=[True, 2])}, 8, id="boolean shape"),
        pytest.param({"t": _entry(shape=[1] * 9 + [2])}, 8, id="too many dimensions"),
        pytest.param({"t": _entry(shape=[2**52] * 8, data_offsets=[0, 8])}, 8, id="product overflows"),
        pytest.param({"t": _entry(data_offsets=[8, 0])}, 8, id="offsets reversed"),
        pytest.param({"t": _entry(data_offsets=[0, 8, 8])}, 8, id="three offsets"),
        pytest.param({"t": _entry(data_offsets=[8, 16])}, 16, id="gap at the start"),
        pytest.param({"t": _entry()}, 16, id="trailing bytes"),
        pytest.param({"t": _entry()}, 4, id="too short"),
        pytest.param({"t": _entry(), "u": _entry()}, 8, id="two tensors share bytes"),
        pytest.param({"t": _entry(), "u": _entry(data_offsets=[4, 12])}, 12, id="overlap"),
    ],
)
def test_odd_headers_are_refused(header: Any, data_bytes: int) -> None:
    with pytest.raises(Rejection) as refused:
        _parse(header, data_bytes)
    assert refused.value.code == "header_invalid"


def test_a_header_that_is_not_padded_is_refused() -> None:
    text = json.dumps({"t": _entry()}).encode()
    text += b" " * (-len(text) % 8 + 1)
    raw = len(text).to_bytes(8, "little") + text + bytes(8)
    with pytest.raises(Rejection, match="not a multiple of 8"):
        parse_header(io.BytesIO(raw), size_bytes=len(raw))


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_rejections(data: bytes) -> None:
    with pytest.raises(Rejection):
        parse_header(io.BytesIO(data), size_bytes=len(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "t", "__metadata__"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JSON, st.integers(0, 40))
def test_random_json_raises_nothing_but_rejections(header: Any, data_bytes: int) -> None:
    with pytest.raises(Rejection):
        _parse(header, data_bytes)


@settings(max_examples=200)
@given(st.integers(0, 150), st.integers(0, 255))
def test_a_changed_byte_never_yields_a_layout_outside_the_file(position: int, value: int) -> None:
    header = {"a": _entry(), "b": _entry(shape=[2, 2], data_offsets=[8, 24])}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    raw = bytearray(len(text).to_bytes(8, "little") + text + bytes(24))
    raw[position % len(raw)] = value
    try:
        parsed = parse_header(io.BytesIO(bytes(raw)), size_bytes=len(raw))
    except Rejection:
        return
    assert sum(tensor.end - tensor.begin for tensor in parsed.values()) == 24
    assert all(0 <= tensor.begin <= tensor.end <= len(raw) for tensor in parsed.values())
