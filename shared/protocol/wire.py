"""The base of every document that crosses a border, and its one byte form.

Canonical JSON is RFC 8785 (sorted keys, no white space, shortest round-trip numbers), so a digest or
a signature over a document means the same on every machine. Nothing here knows what a document says.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, TypeVar

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict

from shared.types import Digest

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"


class Wire(BaseModel):
    """A frozen document: unknown keys are errors, and numbers are finite."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        strict=False,
        serialize_by_alias=True,
    )


WireT = TypeVar("WireT", bound=Wire)


def canonical_json(value: Any) -> bytes:
    """UTF-8 bytes of `value` (a `Wire` or plain JSON data) in RFC 8785 form.

    Raises ValueError for NaN, infinities, integers beyond 2**53 and anything that JSON lacks.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return rfc8785.dumps(plain)


def sha256_digest(data: bytes) -> Digest:
    """`sha256:` and the hex digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def digest_of(value: Any) -> Digest:
    """Digest of the canonical JSON of `value`."""
    return sha256_digest(canonical_json(value))


def digest_bytes(digest: Digest) -> bytes:
    """The 32 bytes that a digest stands for; ValueError when it is not one."""
    return bytes.fromhex(checked_digest(digest).removeprefix("sha256:"))


def checked_digest(text: str) -> Digest:
    """`text` as a digest; ValueError unless it is `sha256:` and 64 lower-case hex digits."""
    prefix, _, digits = text.partition(":")
    if prefix != "sha256" or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"not a sha256 digest: {text!r}")
    return Digest(text)


DigestField = Annotated[Digest, AfterValidator(checked_digest)]
"""A digest as a field of a document."""
