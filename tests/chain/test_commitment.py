"""A commitment binds content to a hotkey and has exactly one text form."""

from __future__ import annotations

import hashlib

import pytest
from bittensor.sp_core import Keypair
from hypothesis import given
from hypothesis import strategies as st

from shared.chain.commitment import (
    Commitment,
    Locator,
    commitment_digest,
    encode_commitment,
    encode_log_head,
    parse_commitment,
    parse_locator,
    parse_log_head,
)
from shared.errors import AgonError, Rejection
from shared.types import Digest, Hotkey

WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}[A-Za-z0-9]", fullmatch=True)
LOCATORS = st.one_of(
    st.builds(lambda org, repo: Locator("hf", f"{org}/{repo}"), WORD, WORD),
    st.builds(
        lambda bucket, first, second: Locator(
            "s3", f"s3.example.org:9000/b{bucket.lower()}/{first}/{second}"
        ),
        st.from_regex(r"[a-z0-9]{2,8}", fullmatch=True),
        WORD,
        WORD,
    ),
    st.builds(lambda name: Locator("file", name), WORD),
)
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda raw: Digest("sha256:" + raw.hex()))
ALICE = Hotkey(Keypair.create_from_uri("//Alice").ss58_address)
BOB = Hotkey(Keypair.create_from_uri("//Bob").ss58_address)


def raw(text: str | bytes) -> list[tuple[str, bytes]]:
    data = text.encode() if isinstance(text, str) else text
    return [(f"Raw{len(data)}", data)]


def refused(fields: list[tuple[str, bytes]]) -> str:
    with pytest.raises(Rejection) as caught:
        parse_commitment(fields)
    return caught.value.code


@given(DIGESTS, LOCATORS)
def test_commitment_survives_the_chain(digest: Digest, locator: Locator) -> None:
    text = encode_commitment(digest, locator)
    assert len(text) <= 128
    assert parse_commitment(raw(text)) == Commitment(digest, locator)
    assert parse_log_head(raw(encode_log_head(digest, locator))) == Commitment(digest, locator)


@given(DIGESTS, LOCATORS, st.data())
def test_no_changed_text_parses_to_the_same_commitment(
    digest: Digest, locator: Locator, data: st.DataObject
) -> None:
    text = encode_commitment(digest, locator).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    mutations = (text[:place] + byte + text[place + 1 :], text[:place] + byte + text[place:], text[:place])
    changed = data.draw(st.sampled_from([item for item in mutations if item != text]))
    try:
        parsed = parse_commitment(raw(changed))
    except Rejection as error:
        assert error.code == "malformed_commitment"
    else:
        assert parsed != Commitment(digest, locator)
        assert encode_commitment(parsed.digest, parsed.locator).encode() == changed


@given(st.lists(st.tuples(st.text(max_size=12), st.binary(max_size=140)), max_size=4))
def test_any_fields_are_parsed_or_rejected(fields: list[tuple[str, bytes]]) -> None:
    try:
        parse_commitment(fields)
    except Rejection as error:
        assert error.code == "malformed_commitment"


def test_only_one_raw_field_of_its_own_length_counts() -> None:
    text = encode_commitment(Digest("sha256:" + "07" * 32), Locator("file", "a")).encode()
    good = (f"Raw{len(text)}", text)
    assert refused([]) == "malformed_commitment"
    assert refused([good, good]) == "malformed_commitment"
    assert refused([("BigRaw", text)]) == "malformed_commitment"
    assert refused([("Raw5", text)]) == "malformed_commitment"
    assert refused([("Sha256", b"\0" * 32)]) == "malformed_commitment"


def test_spare_bits_of_the_last_base64_character_are_refused() -> None:
    text = encode_commitment(Digest("sha256:" + "00" * 32), Locator("file", "a"))
    assert text == "agon1:" + "A" * 43 + ":file:a"
    assert refused(raw("agon1:" + "A" * 42 + "B:file:a")) == "malformed_commitment"


def test_a_log_head_is_no_submission() -> None:
    head = encode_log_head(Digest("sha256:" + "07" * 32), Locator("file", "log"))
    assert refused(raw(head)) == "malformed_commitment"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf://org",
        "hf://org/repo/more",
        "hf://org/repo@main",
        "hf://../repo",
        "hf://org/a..b",
        "hf://org/repo ",
        "hf://org/repo\n",
        "HF://org/repo",
        "s3://host/bucket",
        "s3://host/bucket/",
        "s3://host/bucket/../other",
        "s3://user@host/bucket/x",
        "s3://HOST/bucket/x",
        "s3://host/bucket//x",
        "file:/etc/passwd",
        "file:..",
        "file:a/b",
        "file://a",
        "file:.hidden",
        "https://example.org/x",
        "file:ärger",
        "hf://org/" + "r" * 70,
    ],
)
def test_locator_with_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(AgonError) as caught:
        parse_locator(text)
    assert caught.value.code == "locator_invalid"


def test_longest_locator_fills_the_field_exactly() -> None:
    locator = Locator("hf", "org/" + "r" * 69)
    assert len(str(locator)) == 78
    assert len(encode_commitment(Digest("sha256:" + "07" * 32), locator)) == 128
    with pytest.raises(AgonError) as caught:
        encode_log_head(Digest("sha256:" + "07" * 32), locator)
    assert caught.value.code == "locator_invalid"


def test_digest_binds_the_content_to_the_hotkey_and_the_competition() -> None:
    ours = Digest("sha256:" + "01" * 32)
    content = Digest("sha256:" + "02" * 32)
    key = Keypair.create_from_uri("//Alice").public_key
    expected = hashlib.sha256(b"agon/1" + b"\x01" * 32 + b"\x02" * 32 + bytes(key)).hexdigest()
    assert commitment_digest(ours, content, ALICE) == f"sha256:{expected}"
    assert commitment_digest(ours, content, BOB) != commitment_digest(ours, content, ALICE)
    assert commitment_digest(content, ours, ALICE) != commitment_digest(ours, content, ALICE)
    with pytest.raises(ValueError):
        commitment_digest(ours, content, Hotkey("not an address"))
