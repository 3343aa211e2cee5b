"""What a hotkey writes into its one commitment slot, and how it is read back.

Miners commit a submission, owners and validators the head of their governance log. Submitting, intake
and publishing call this; it is pure and never talks to a chain or a store. A text has one form only:
whatever parses, encodes to the same bytes again.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.errors import AgonError, Rejection
from shared.protocol.wire import digest_bytes
from shared.types import Digest, Hotkey

MAX_COMMITMENT_BYTES = 128
"""Size of the chain's largest Raw field."""

MAX_LOCATOR_BYTES = 78
"""What is left of it beside `agon1:`, a digest of 43 characters and a colon."""

SUBMISSION_PREFIX = "agon1"
LOG_PREFIX = "agonlog1"
DOMAIN = b"agon/1"

Scheme = Literal["hf", "s3", "file"]

Fields = Sequence[tuple[str, bytes]]
"""Fields of one commitment as (variant of the chain's Data type, its bytes)."""

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?"
_NAMES = {
    "hf": re.compile(f"{_PART}/{_PART}"),
    "s3": re.compile(rf"{_HOST}/[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](?:/{_PART})+"),
    "file": re.compile(_PART),
}
_STARTS: dict[Scheme, str] = {"hf": "hf://", "s3": "s3://", "file": "file:"}


@dataclass(frozen=True)
class Locator:
    """A place that files are read from: `hf://org/repo`, `s3://host/bucket/prefix` or `file:NAME`."""

    scheme: Scheme
    name: str
    """What follows `hf://`, `s3://` or `file:`."""

    def __str__(self) -> str:
        return _STARTS[self.scheme] + self.name


@dataclass(frozen=True)
class Commitment:
    """A committed digest and the place where its files will be."""

    digest: Digest
    locator: Locator


def parse_locator(text: str) -> Locator:
    """The place that `text` names. Raises Rejection `locator_invalid` for anything but its one form."""
    for scheme, start in _STARTS.items():
        if text.startswith(start):
            return _checked_locator(Locator(scheme, text.removeprefix(start)))
    raise Rejection("locator_invalid", f"locator has no known scheme: {text[:100]!r}")


def _checked_locator(locator: Locator) -> Locator:
    if len(str(locator)) > MAX_LOCATOR_BYTES:
        raise Rejection("locator_invalid", f"locator is longer than {MAX_LOCATOR_BYTES} bytes: {locator}")
    if not _NAMES[locator.scheme].fullmatch(locator.name) or ".." in locator.name:
        raise Rejection("locator_invalid", f"locator is not well formed: {str(locator)!r}")
    return locator


def commitment_digest(competition: Digest, manifest: Digest, hotkey: Hotkey) -> Digest:
    """Binds a manifest to one hotkey in one competition: sha256("agon/1" | competition | manifest | key).

    The digests enter as 32 bytes each, the hotkey as its 32-byte public key. Raises ValueError when an
    argument is not what its type says.
    """
    from bittensor.sp_core import decode_ss58

    key = bytes(decode_ss58(hotkey))
    if len(key) != 32:
        raise ValueError(f"not the address of a key: {hotkey!r}")
    content = DOMAIN + digest_bytes(competition) + digest_bytes(manifest) + key
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def encode_commitment(digest: Digest, locator: Locator) -> str:
    """The text of a submission, `agon1:<digest base64url>:<locator>`, at most 128 ASCII characters."""
    return _encode(SUBMISSION_PREFIX, digest, locator)


def parse_commitment(fields: Fields) -> Commitment:
    """The submission in a commitment. Raises Rejection `malformed_commitment`, saying what is wrong."""
    return _parse(SUBMISSION_PREFIX, _only_text(fields))


def encode_log_head(digest: Digest, locator: Locator) -> str:
    """The text that points at a governance log, `agonlog1:<digest of the newest entry>:<locator>`."""
    return _encode(LOG_PREFIX, digest, locator)


def parse_log_head(fields: Fields) -> Commitment:
    """The log head in a commitment. Raises Rejection `malformed_commitment`, saying what is wrong."""
    return _parse(LOG_PREFIX, _only_text(fields))


def _encode(prefix: str, digest: Digest, locator: Locator) -> str:
    coded = urlsafe_b64encode(digest_bytes(digest)).rstrip(b"=").decode()
    text = f"{prefix}:{coded}:{_checked_locator(locator)}"
    if len(text) > MAX_COMMITMENT_BYTES:
        over = len(text) - MAX_COMMITMENT_BYTES
        raise AgonError("locator_invalid", f"locator is {over} bytes too long for a commitment: {locator}")
    return text


def _only_text(fields: Fields) -> str:
    if len(fields) != 1:
        raise Rejection("malformed_commitment", f"commitment has {len(fields)} fields instead of one")
    variant, data = fields[0]
    if variant != f"Raw{len(data)}":
        raise Rejection("malformed_commitment", f"commitment holds {variant} of {len(data)} bytes, not Raw")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Rejection("malformed_commitment", "commitment is not ASCII text") from None


def _parse(prefix: str, text: str) -> Commitment:
    parts = text.split(":", 2)
    if len(parts) != 3 or parts[0] != prefix:
        raise Rejection("malformed_commitment", f"commitment is not {prefix}:<digest>:<locator>")
    try:
        raw = urlsafe_b64decode(parts[1] + "=")
        locator = parse_locator(parts[2])
        digest = Digest("sha256:" + raw.hex())
        same = len(raw) == 32 and _encode(prefix, digest, locator) == text
    except AgonError as error:
        raise Rejection("malformed_commitment", error.message) from error
    except ValueError as error:
        raise Rejection("malformed_commitment", f"commitment's digest is not base64url: {error}") from error
    if not same:
        raise Rejection("malformed_commitment", "commitment is not in its canonical form")
    return Commitment(digest, locator)
