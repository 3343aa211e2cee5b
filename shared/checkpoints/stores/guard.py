"""The guard: which addresses a stranger's locator may lead to, and how slowly its host may answer.

Every anonymous read opens its connections here. A name is resolved once, every address behind it is
checked, and the connection goes to an address that was checked; a host that drips is cut off. Nothing
here knows HTTP.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

CONNECT_S = 15.0
PATIENCE_S = 60.0
"""An answer may always take this long."""
MIN_BYTES_PER_S = 2 << 20
"""What a body has to bring to be given more time. A slower line goes on in the next attempt, where this one
stopped; but no host holds a validator up for hours."""

Clock = Callable[[], float]
Resolve = Callable[[str, int], list[str]]
"""Addresses of a host name."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(Exception):
    """The host is not on the public internet."""


class Pace:
    """The time that one answer may take: a fixed part, and more for every byte of its body."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock()
        self._earned_s = 0.0
        self.in_body = False
        """Only a body earns time: a head that never ends would go on for ever."""

    @property
    def left_s(self) -> float:
        """Seconds until the answer is given up."""
        return self._start + PATIENCE_S + self._earned_s - self._clock()

    def count(self, size_bytes: int) -> None:
        """Note what has come."""
        if self.in_body:
            self._earned_s += size_bytes / MIN_BYTES_PER_S


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, also when an IPv6 form hides an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64 or int(ip) >> 32 == 0:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast


def resolve_host(host: str, port: int) -> list[str]:
    """Addresses of `host`, from the system's resolver. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard(httpcore2.NetworkBackend):
    """Opens the connections of one answer. `private` hosts are let through where the network is one's own."""

    def __init__(self, pace: Pace, *, private: bool, resolve: Resolve = resolve_host) -> None:
        self._pace = pace
        self._private = private
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the name is httpcore2's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers. Raises ForbiddenAddress, and as httpcore2 does."""
        addresses = self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        if not self._private and not all(is_public(address) for address in addresses):
            raise ForbiddenAddress(f"{host} is not a public host: it resolves to {', '.join(addresses)}")
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, timeout, socket_options)

    def _connect(
        self, address: str, port: int, timeout: float | None, options: Iterable[Any] | None
    ) -> httpcore2.NetworkStream:
        opened = httpcore2.SyncBackend().connect_tcp(
            address, port, timeout=timeout, socket_options=options or ()
        )
        return _PacedStream(opened, self._pace)


class _PacedStream(httpcore2.NetworkStream):
    """A connection that is given up when its answer takes too long."""

    def __init__(self, inner: httpcore2.NetworkStream, pace: Pace) -> None:
        self._inner = inner
        self._pace = pace

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = self._pace.left_s
        if left_s <= 0:
            raise httpcore2.ReadTimeout("the host answers too slowly")
        data = self._inner.read(max_bytes, left_s if timeout is None else min(timeout, left_s))
        self._pace.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _PacedStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._pace)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
