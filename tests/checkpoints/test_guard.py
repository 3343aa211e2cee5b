"""The guard: no spelling of a private address is public, and only a body earns time."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chain.commitment import parse_locator
from shared.checkpoints.stores import NotServed, open_store
from shared.checkpoints.stores.guard import MIN_BYTES_PER_S, PATIENCE_S, Pace, Resolve, is_public
from shared.checkpoints.stores.web import Web
from shared.errors import Rejection, TransientError
from shared.settings import Settings

INWARDS = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
]  # fmt: skip


def _ask(resolve: Resolve) -> None:
    with Web(private=False, resolve=resolve).get("https://files.example/x"):
        pass


@pytest.mark.parametrize("address", INWARDS)
def test_no_address_inwards_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv6_form_hides_no_ipv4_address(address: Any) -> None:
    forms = [f"::ffff:{address}", f"64:ff9b::{address}"]
    assert {is_public(form) for form in forms} == {is_public(str(address))}


@pytest.mark.parametrize("address", INWARDS)
def test_a_public_name_that_resolves_inwards_is_never_connected_to(address: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["1.1.1.1", address]

    with pytest.raises(NotServed, match=r"files\.example is not a public host"):
        _ask(resolve)
    assert asked == ["files.example"]


def test_an_unknown_name_is_nobodys_fault_yet() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    with pytest.raises(TransientError, match="store_unreachable"):
        _ask(fail)


def test_a_body_earns_time_with_every_byte_and_a_head_does_not() -> None:
    now_s = [0.0]
    pace = Pace(lambda: now_s[0])
    pace.count(10 * MIN_BYTES_PER_S)
    now_s[0] = 20.0
    assert pace.left_s == PATIENCE_S - 20
    pace.in_body = True
    pace.count(10 * MIN_BYTES_PER_S)
    assert pace.left_s == PATIENCE_S - 10


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7:9000", "169.254.169.254", "localhost:9000"])
def test_a_locator_to_a_private_host_is_refused_on_public_networks(host: str) -> None:
    locator = parse_locator(f"s3://{host}/bucket/prefix")
    with pytest.raises(Rejection, match="not on the public internet"):
        open_store(locator, Settings.load(network="finney"))
    open_store(locator, Settings.load(network="local"))


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "localhost.localdomain"])
def test_other_spellings_of_a_private_host_are_not_connected_to(host: str) -> None:
    store = open_store(parse_locator(f"s3://{host}/bucket/prefix"), Settings.load(network="finney"))
    with pytest.raises(TransientError):
        store.read("manifest.json", limit_bytes=100)
