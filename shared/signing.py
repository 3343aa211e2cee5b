"""Signatures of hotkeys over documents: one payload form, one signature form, one check.

Validators sign statements, certificates and reports with it, and everybody checks them with it. The
signed bytes are a fixed first line and the canonical JSON of the body, so no signature can pass for one
over a transaction or an HTTP request. Keys are handed in; nothing here opens a wallet.
"""

from __future__ import annotations

from typing import Any, Protocol

from shared.errors import AgonError
from shared.protocol.statement import Signed
from shared.protocol.wire import Wire, canonical_json
from shared.types import Hotkey

DOMAIN = b"agon-signed/1\n"
CRYPTO_TYPES = (0, 1)
"""ed25519 and sr25519, as the chain's MultiSignature numbers them."""


class HotkeySigner(Protocol):
    """What signing needs of a key; a bittensor `Keypair` has it."""

    @property
    def ss58_address(self) -> str: ...

    @property
    def crypto_type(self) -> int: ...

    def sign(self, message: bytes, /) -> bytes: ...


def payload(body: Wire | dict[str, Any]) -> bytes:
    """The bytes that are signed. Raises ValueError when `body` has no canonical JSON."""
    return DOMAIN + canonical_json(body)


def sign(body: Wire | dict[str, Any], signer: HotkeySigner) -> Signed:
    """`body` signed by the hotkey: 0x, one byte for the key type, 64 bytes of signature, as hex."""
    document = body.model_dump(mode="json") if isinstance(body, Wire) else body
    signature = bytes(signer.sign(payload(document)))
    coded = bytes([signer.crypto_type]) + signature
    return Signed(body=document, author=Hotkey(signer.ss58_address), signature="0x" + coded.hex())


def verify(signed: Signed) -> None:
    """Raises AgonError `signature_invalid` unless the author's key signed exactly this body.

    A body that names its own author is bound to it here too.
    """
    from bittensor.sp_core import verify as verify_bytes

    named = signed.body.get("author", signed.author)
    try:
        coded = bytes.fromhex(signed.signature.removeprefix("0x"))
        well_formed = len(coded) == 65 and coded[0] in CRYPTO_TYPES and named == signed.author
        good = well_formed and verify_bytes(payload(signed.body), coded[1:], signed.author, coded[0])
    except ValueError as error:
        raise AgonError("signature_invalid", f"signature cannot be checked: {error}") from error
    if not good:
        raise AgonError("signature_invalid", f"document is not signed by {signed.author}")
