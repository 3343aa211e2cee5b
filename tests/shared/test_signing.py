"""A signed document names its signer, and no other bytes, key or scheme pass."""

from __future__ import annotations

from typing import Any

import pytest
from bittensor.sp_core import Keypair

from shared.errors import AgonError
from shared.protocol.statement import Signed
from shared.signing import payload, sign, verify

BODY: dict[str, Any] = {"round": 3, "text": "bäume", "list": [1, 2.5, None]}


def forged(signed: Signed, **changes: Any) -> None:
    with pytest.raises(AgonError) as caught:
        verify(signed.model_copy(update=changes))
    assert caught.value.code == "signature_invalid"


@pytest.mark.parametrize("crypto_type", [0, 1], ids=["ed25519", "sr25519"])
def test_only_the_signed_body_of_the_named_key_passes(crypto_type: int) -> None:
    alice = Keypair.create_from_uri("//Alice", crypto_type)
    bob = Keypair.create_from_uri("//Bob", crypto_type)
    signed = sign(BODY, alice)
    verify(signed)
    verify(Signed.model_validate_json(signed.model_dump_json()))
    forged(signed, body={**BODY, "round": 4})
    forged(signed, body={**BODY, "more": 1})
    forged(signed, author=bob.ss58_address)
    forged(signed, author="nobody")
    forged(signed, signature="0x" + f"{1 - crypto_type:02x}" + signed.signature[4:])
    forged(signed, signature=signed.signature[:-2])
    forged(signed, signature=signed.signature[:4] + "00" * 64)
    forged(signed, signature="0x123")


def test_body_cannot_name_another_author() -> None:
    alice, bob = Keypair.create_from_uri("//Alice"), Keypair.create_from_uri("//Bob")
    forged(sign({"author": bob.ss58_address}, alice))


def test_signature_over_bare_json_does_not_pass() -> None:
    alice = Keypair.create_from_uri("//Alice")
    bare = payload(BODY).removeprefix(b"agon-signed/1\n")
    signed = sign(BODY, alice)
    forged(signed, signature="0x01" + bytes(alice.sign(bare)).hex())


def test_number_that_is_not_finite_cannot_be_signed() -> None:
    with pytest.raises(ValueError):
        sign({"score": float("nan")}, Keypair.create_from_uri("//Alice"))
