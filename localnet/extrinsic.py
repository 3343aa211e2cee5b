"""Signed calls as this chain encodes them.

Owns the call and extrinsic encodings (canonical JSON in place of SCALE), the bytes a key signs and the
check of a signature. Pure: it reads no chain and holds no keys.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from bittensor import ChainError
from bittensor.sp_core import verify

from localnet.store import canonical

SPEC_VERSION = 470
MAX_EXTRINSIC_BYTES = 1_000_000


def hash_bytes(data: bytes) -> str:
    """blake2b-256 as 0x hex."""
    return "0x" + blake2b(data, digest_size=32).hexdigest()


def hash_block(number: int, parent: str, extrinsics: list[str], entropy: bytes) -> str:
    """Block hash: blake2b of the parent, the number, the extrinsics and 32 bytes of entropy."""
    return hash_bytes(canonical([parent, number, extrinsics, entropy.hex()]).encode())


def to_plain(value: Any) -> Any:
    """Call arguments as JSON values: bytes become 0x hex; TypeError for anything without a JSON form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(name): to_plain(entry) for name, entry in value.items()}
    raise TypeError(f"a call argument of type {type(value).__name__} cannot be encoded")


@dataclass(frozen=True)
class LocalCall:
    """A composed call. `data` is what is hashed and carried, like the SDK's own call bytes."""

    module: str
    function: str
    params: dict[str, Any]

    @property
    def data(self) -> bytes:
        return canonical([self.module, self.function, self.params]).encode()

    @property
    def call_hash(self) -> bytes:
        return blake2b(self.data, digest_size=32).digest()


@dataclass(frozen=True)
class SignedCall:
    """An extrinsic: who calls what, once (nonce), until when (birth block + period), under which chain."""

    call: LocalCall
    signer: str
    crypto_type: int
    nonce: int
    birth: int
    period: int | None
    genesis_hash: str
    signature: str

    @property
    def raw(self) -> bytes:
        return canonical([self._body(), self.signature]).encode()

    @property
    def hash(self) -> str:
        return hash_bytes(self.raw)

    @property
    def intent_hash(self) -> str:
        """Hash of who calls what with which nonce: what block hashes are built from.

        Signatures are randomised; leaving them out lets a seeded chain repeat its block hashes.
        """
        call = self.call
        return hash_bytes(
            canonical([self.signer, self.nonce, call.module, call.function, call.params]).encode()
        )

    def _body(self) -> list[Any]:
        call = self.call
        return [
            call.module,
            call.function,
            call.params,
            self.signer,
            self.crypto_type,
            self.nonce,
            self.birth,
            self.period,
            self.genesis_hash,
            SPEC_VERSION,
        ]

    @property
    def payload(self) -> bytes:
        """The 32 bytes the signer signs."""
        return blake2b(canonical(self._body()).encode(), digest_size=32).digest()

    def is_authentic(self) -> bool:
        """Whether the signature over the payload is the signer's."""
        try:
            signature = bytes.fromhex(self.signature.removeprefix("0x"))
            return bool(verify(self.payload, signature, self.signer, self.crypto_type))
        except (ValueError, TypeError):
            return False

    def expired_at(self, block: int) -> bool:
        """Whether the extrinsic may no longer be included in `block`."""
        return self.birth > block or (self.period is not None and block > self.birth + self.period)


async def sign_call(unsigned: SignedCall, keypair: Any) -> SignedCall:
    """The extrinsic with its signature; `keypair.sign` may be plain or async, as in the SDK."""
    signed = keypair.sign(unsigned.payload)
    if inspect.isawaitable(signed):
        signed = await signed
    values = {name: getattr(unsigned, name) for name in unsigned.__dataclass_fields__}
    return SignedCall(**{**values, "signature": "0x" + bytes(signed).hex()})


def decode_extrinsic(raw: bytes) -> SignedCall:
    """Read an extrinsic back; ChainError when the bytes are not one."""
    try:
        if len(raw) > MAX_EXTRINSIC_BYTES:
            raise ValueError("too large")
        body, signature = json.loads(raw)
        module, function, params, signer, crypto_type, nonce, birth, period, genesis_hash, _spec = body
        call = LocalCall(str(module), str(function), dict(params))
        return SignedCall(
            call,
            str(signer),
            int(crypto_type),
            int(nonce),
            int(birth),
            None if period is None else int(period),
            str(genesis_hash),
            str(signature),
        )
    except (ValueError, TypeError) as error:
        raise ChainError(f"the bytes are not an extrinsic of this chain: {error}") from error


def describe_extrinsic(extrinsic: SignedCall) -> dict[str, Any]:
    """An extrinsic in the decoded form that block readers expect."""
    call = extrinsic.call
    arguments = [{"name": name, "type": "", "value": value} for name, value in call.params.items()]
    return {
        "extrinsic_hash": extrinsic.hash,
        "extrinsic_length": len(extrinsic.raw),
        "address": extrinsic.signer,
        "signature": extrinsic.signature,
        "era": {"birth": extrinsic.birth, "period": extrinsic.period},
        "nonce": extrinsic.nonce,
        "tip": 0,
        "call": {
            "call_index": "0x0000",
            "call_function": call.function,
            "call_module": call.module,
            "call_args": arguments,
            "call_hash": "0x" + call.call_hash.hex(),
        },
    }
