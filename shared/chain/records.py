"""What the chain client hands out: typed, frozen records, and how raw chain values become them.

The client fills these; everybody above reads them. Pure: no connection, no clock. Values that miners
write are decoded without ever raising, since a strange commitment must not stop a validator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.types import BlockNumber, Coldkey, Hotkey, Uid

U16_MAX = 65_535
RAO = 1_000_000_000
"""Rao in one TAO."""

_RAW = re.compile(r"Raw(0|[1-9][0-9]{0,2})")
_UNREADABLE = ("unreadable", b"")


@dataclass(frozen=True)
class Head:
    """A block: its height and its hash."""

    number: BlockNumber
    hash: str


@dataclass(frozen=True)
class Neuron:
    """One row of a subnet's metagraph at one block."""

    uid: Uid
    hotkey: Hotkey
    coldkey: Coldkey
    registered_block: BlockNumber
    validator_permit: bool
    active: bool
    stake_rao: int
    """Stake weight: alpha and weighted root TAO."""
    last_update: BlockNumber
    """Block of its last weights; the block of registration before any."""
    incentive: float
    dividends: float
    emission_rao: int
    """Alpha of the last epoch."""


@dataclass(frozen=True)
class CommitmentRecord:
    """What a hotkey has in its commitment slot, undecided whether it means anything to us."""

    hotkey: Hotkey
    block: BlockNumber
    """Block of the commit."""
    fields: tuple[tuple[str, bytes], ...]
    """(variant of the chain's Data type, its bytes) of each field, as `parse_commitment` takes them."""


@dataclass(frozen=True)
class Receipt:
    """Where a call was included."""

    block: BlockNumber | None
    extrinsic: str | None
    """`block-index`, as explorers show it."""
    fee_rao: int | None


@dataclass(frozen=True)
class WeightReceipt:
    """How a vector of weights was sent."""

    receipt: Receipt
    values: dict[Uid, int]
    """The u16 row that the chain will hold, zeros dropped."""
    reveal_round: int | None
    """Drand round that opens it; none when the subnet takes plain weights."""


def quantise_weights(weights: Mapping[Uid, float]) -> dict[Uid, int]:
    """The u16 row that the SDK sends for `weights`: scaled to a maximum of 65535, zeros dropped.

    Raises ValueError unless all are finite, none is negative and at least one is positive.
    """
    top = max(weights.values(), default=0.0)
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights.values()) or top <= 0:
        raise ValueError("weights must be finite, not negative and not all zero")
    row = {uid: round(weight / top * U16_MAX) for uid, weight in sorted(weights.items())}
    return {uid: value for uid, value in row.items() if value}


def decode_commitment(hotkey: str, value: Any) -> CommitmentRecord | None:
    """The record of one `CommitmentOf` value; None when there is none."""
    if not isinstance(value, Mapping):
        return None
    info = value.get("info")
    fields = info.get("fields") if isinstance(info, Mapping) else None
    decoded = tuple(_decode_field(field) for field in fields) if isinstance(fields, list | tuple) else ()
    return CommitmentRecord(Hotkey(hotkey), BlockNumber(int(value["block"])), decoded)


def _decode_field(field: Any) -> tuple[str, bytes]:
    while isinstance(field, list | tuple) and len(field) == 1:
        field = field[0]
    if isinstance(field, str):
        return field, b""
    if not isinstance(field, Mapping) or len(field) != 1:
        return _UNREADABLE
    variant, value = next(iter(field.items()))
    if not isinstance(variant, str):
        return _UNREADABLE
    raw = _RAW.fullmatch(variant)
    if raw is None:
        return variant, _loose_bytes(value)
    data = _sized_bytes(value, int(raw[1]))
    return _UNREADABLE if data is None else (variant, data)


def _sized_bytes(value: Any, size: int) -> bytes | None:
    """The `size` bytes behind a decoded value, which is 0x hex, or text where the bytes are UTF-8."""
    candidates = [_loose_bytes(value)]
    if isinstance(value, str):
        candidates.append(value.encode())
    return next((data for data in candidates if len(data) == size), None)


def _loose_bytes(value: Any) -> bytes:
    while isinstance(value, list | tuple) and len(value) == 1 and not isinstance(value[0], int):
        value = value[0]
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return bytes.fromhex(value[2:])
        if isinstance(value, str):
            return value.encode()
        return bytes(value) if isinstance(value, bytes | bytearray | list | tuple) else b""
    except (ValueError, TypeError):
        return b""
