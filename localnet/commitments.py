"""The Commitments pallet: one small public record per hotkey and subnet.

Owns `set_commitment` and its limits. Sealed (timelocked) fields are stored but never open here, because
an embedded chain has no randomness beacon.
"""

from __future__ import annotations

from typing import Any

from localnet.ledger import CallRefused, NetUid, require
from localnet.store import State

MAX_FIELDS = 3
MIN_COST_BYTES = 100
MAX_RAW = 128
MAX_BIG_RAW = 512
MAX_SEALED = 1_024
HASHES = ("Sha256", "BlakeTwo256", "Keccak256", "ShaThree256")


def set_commitment(state: State, origin: str, netuid: NetUid, info: dict[str, Any]) -> None:
    """Replace the caller's commitment on a subnet."""
    fields, size = read_fields(info)
    require(state.get("Uids", netuid, origin) is not None, "AccountNotAllowedCommit")
    require(len(fields) <= MAX_FIELDS, "TooManyFieldsInCommitmentInfo")
    epoch = int(state.get("SubnetEpochIndex", netuid, default=0))
    used = state.get("Commitments.UsedSpaceOf", netuid, origin) or {"last_epoch": epoch, "used_space": 0}
    spent = used["used_space"] if used["last_epoch"] == epoch else 0
    spent += max(MIN_COST_BYTES, size)
    require(spent <= state.genesis.commitment_space_bytes, "SpaceLimitExceeded")
    state.put("Commitments.UsedSpaceOf", {"last_epoch": epoch, "used_space": spent}, netuid, origin)
    record = {"deposit": 0, "block": state.block, "info": {"fields": fields}}
    state.put("Commitments.CommitmentOf", record, netuid, origin)
    state.put("Commitments.LastCommitment", state.block, netuid, origin)
    state.emit("Commitments", "Commitment", {"netuid": netuid, "who": origin})


def read_fields(info: dict[str, Any]) -> tuple[list[Any], int]:
    """The fields of a commitment in the decoded form, and their size in bytes.

    Every field may stand alone or wrapped in its own list, as the SDK encodes it.
    Raises CallRefused("InvalidCommitment") when a field has no encoding.
    """
    entries = info.get("fields") if set(info) == {"fields"} else None
    if not isinstance(entries, list):
        raise CallRefused("InvalidCommitment")
    fields, size = [], 0
    for entry in entries:
        for field in entry if isinstance(entry, list) else [entry]:
            decoded, field_bytes = _read_field(field)
            fields.append(decoded)
            size += field_bytes
    return fields, size


def _read_field(field: Any) -> tuple[Any, int]:
    if field in ("None", "ResetBondsFlag"):
        return field, 0
    if not isinstance(field, dict) or len(field) != 1:
        raise CallRefused("InvalidCommitment")
    ((variant, value),) = field.items()
    if variant == "TimelockEncrypted":
        return _read_sealed(value)
    data = _read_bytes(value)
    raw_length = variant.removeprefix("Raw")
    allowed = (
        (variant.startswith("Raw") and raw_length == str(len(data)) and len(data) <= MAX_RAW)
        or (variant == "BigRaw" and len(data) <= MAX_BIG_RAW)
        or (variant in HASHES and len(data) == 32)
    )
    require(allowed, "InvalidCommitment")
    return {variant: "0x" + data.hex()}, len(data)


def _read_sealed(value: Any) -> tuple[Any, int]:
    if not isinstance(value, dict) or set(value) != {"encrypted", "reveal_round"}:
        raise CallRefused("InvalidCommitment")
    reveal_round = value["reveal_round"]
    require(isinstance(reveal_round, int) and 0 <= reveal_round < 2**64, "InvalidCommitment")
    data = _read_bytes(value["encrypted"])
    require(len(data) <= MAX_SEALED, "InvalidCommitment")
    sealed = {"encrypted": "0x" + data.hex(), "reveal_round": reveal_round}
    return {"TimelockEncrypted": sealed}, len(data)


def _read_bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise CallRefused("InvalidCommitment")
    try:
        return bytes.fromhex(value[2:]) if value.startswith("0x") else value.encode()
    except ValueError as error:
        raise CallRefused("InvalidCommitment") from error
