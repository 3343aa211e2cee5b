"""Raw chain values become typed records without ever raising on what a miner wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chain.records import CommitmentRecord, decode_commitment, quantise_weights
from shared.types import BlockNumber, Hotkey, Uid

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def fields_of(*fields: Any) -> tuple[tuple[str, bytes], ...]:
    record = decode_commitment("h", {"deposit": 0, "block": 5, "info": {"fields": list(fields)}})
    assert record is not None
    return record.fields


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"Raw5": "0x68656c6c6f"}, ("Raw5", b"hello")),
        ([{"Raw5": "hello"}], ("Raw5", b"hello")),
        ({"Raw5": b"hello"}, ("Raw5", b"hello")),
        ({"Raw5": [104, 101, 108, 108, 111]}, ("Raw5", b"hello")),
        ({"Raw4": "0x68"}, ("Raw4", b"0x68")),
        ({"Raw5": "short"[:4]}, ("unreadable", b"")),
        ("None", ("None", b"")),
        ({"Sha256": "0x0102"}, ("Sha256", b"\x01\x02")),
        ({"TimelockEncrypted": {"encrypted": "0x01", "reveal_round": 3}}, ("TimelockEncrypted", b"")),
        (7, ("unreadable", b"")),
    ],
)
def test_each_field_keeps_its_variant_and_bytes(field: Any, expected: tuple[str, bytes]) -> None:
    assert fields_of(field) == (expected,)


@given(st.lists(JSON, max_size=3))
def test_no_field_can_stop_a_reader(fields: list[Any]) -> None:
    assert len(fields_of(*fields)) == len(fields)


def test_absent_commitment_is_none_and_odd_info_is_empty() -> None:
    assert decode_commitment("h", None) is None
    assert decode_commitment("h", {"block": 5, "info": None}) == CommitmentRecord(
        Hotkey("h"), BlockNumber(5), ()
    )


@given(st.dictionaries(st.integers(0, 255).map(Uid), st.floats(0, 1e6), min_size=1, max_size=8))
def test_quantised_weights_are_what_the_sdk_sends(weights: dict[Uid, float]) -> None:
    from bittensor.intents.weights import normalize

    uids, values = normalize(list(weights), list(weights.values()))
    if max(weights.values()) == 0:
        with pytest.raises(ValueError):
            quantise_weights(weights)
    else:
        assert quantise_weights(weights) == dict(zip(uids, values, strict=True))


@pytest.mark.parametrize(
    "weights", [{}, {0: 0.0}, {0: float("nan")}, {0: 1.0, 1: float("inf")}, {0: -1.0, 1: 1.0}]
)
def test_senseless_weights_are_refused(weights: dict[Uid, float]) -> None:
    with pytest.raises(ValueError):
        quantise_weights(weights)
