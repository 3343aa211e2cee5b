"""The web reader: anonymous GETs of a stranger's files, as if every answer were hostile.

The `s3://` and `hf://` stores read through it. It follows a redirect only when told to, takes no encoded
bodies, and tells a file that is not there (the publisher's fault) from a host that does not answer
(nobody's yet). It sends no credentials, ever.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

from shared.checkpoints.stores.guard import (
    CONNECT_S,
    PATIENCE_S,
    Clock,
    ForbiddenAddress,
    Guard,
    Pace,
    Resolve,
    resolve_host,
)
from shared.checkpoints.stores.store import NotServed
from shared.errors import Rejection, TransientError

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
PASSING = frozenset({408, 425, 429})
"""Refusals that pass: the host is busy, not without the file."""
_TARGET = re.compile(r"https?://[\x21-\x7e]{1,8000}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-.*")


@dataclass(frozen=True)
class Answer:
    """An answer of 200 or 206, its body not read yet."""

    heads: tuple[Mapping[str, str], ...]
    """Header fields of every hop, in lower case; the last are the body's."""
    chunks: Iterator[bytes]
    """The body from the byte that was asked for on. Raises TransientError where the line breaks."""

    def read(self, limit_bytes: int, name: str) -> bytes:
        """The whole body. Raises Rejection `too_large` before reading what is said to be more, and while
        reading what turns out to be."""
        length = self.heads[-1].get("content-length", "")
        too_large = Rejection("too_large", f"{name} has more than {limit_bytes} bytes")
        if length.isdecimal() and int(length) > limit_bytes:
            raise too_large
        data = bytearray()
        for chunk in self.chunks:
            data += chunk
            if len(data) > limit_bytes:
                raise too_large
        return bytes(data)


class Web:
    """Reads from public hosts, and from private ones where the network is one's own."""

    def __init__(
        self,
        *,
        private: bool,
        trusted: str | None = None,
        clock: Clock = time.monotonic,
        resolve: Resolve = resolve_host,
    ) -> None:
        """`trusted` is the URL of a host that the operator named: it may be a private one."""
        self._private = private
        self._trusted = _origin(trusted) if trusted else None
        self._clock = clock
        self._resolve = resolve

    @contextmanager
    def get(
        self, url: str, *, offset: int = 0, match: str | None = None, redirects: int = 0
    ) -> Iterator[Answer]:
        """The body at `url` from byte `offset` on, if its ETag is still `match`.

        Raises NotServed when the host says that it is not there for us, or names a place that nobody
        should be sent to; TransientError `store_unreachable` when the host does not answer.
        """
        headers = {"User-Agent": "agon", "Accept": "*/*", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        if match is not None:
            headers["If-Match"] = match
        with ExitStack() as stack:
            heads: list[Mapping[str, str]] = []
            status, chunks = self._ask(stack, url, headers, heads)
            while status in REDIRECTS and len(heads) <= redirects:
                url = _next(url, heads[-1].get("location", ""))
                status, chunks = self._ask(stack, url, headers, heads)
            yield Answer(tuple(heads), _from_offset(url, status, heads[-1], chunks, offset))

    def _ask(
        self, stack: ExitStack, url: str, headers: Mapping[str, str], heads: list[Mapping[str, str]]
    ) -> tuple[int, Iterator[bytes]]:
        """Send one request on a connection of its own, and take the head of its answer."""
        trusted = self._require_allowed(url)
        pace = Pace(self._clock)
        guard = Guard(pace, private=self._private or trusted, resolve=self._resolve)
        secure = _ssl_context() if url.startswith("https:") else None
        timeout = {"connect": CONNECT_S, "read": PATIENCE_S, "write": PATIENCE_S, "pool": CONNECT_S}
        with _border(url):
            pool = stack.enter_context(httpcore2.ConnectionPool(network_backend=guard, ssl_context=secure))
            asking = pool.stream("GET", url, headers=list(headers.items()), extensions={"timeout": timeout})
            answer = stack.enter_context(asking)
        pace.in_body = True
        heads.append(
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        )
        return answer.status, _chunks(url, answer)

    def _require_allowed(self, url: str) -> bool:
        """Whether the operator named this host. Raises NotServed for a URL that is not one to follow."""
        if not _TARGET.fullmatch(url):
            raise NotServed(f"the host sends us to no URL: {url[:100]!r}")
        try:
            trusted = _origin(url) == self._trusted
        except ValueError as error:
            raise NotServed(f"the host sends us to no URL: {url[:100]!r}") from error
        if not url.startswith("https:") and not self._private and not trusted:
            raise NotServed(f"{_place(url)} is read over https only")
        return trusted


def _next(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise NotServed(f"{_place(url)} sends us to no URL: {location[:100]!r}") from error


def _from_offset(
    url: str, status: int, head: Mapping[str, str], chunks: Iterator[bytes], offset: int
) -> Iterator[bytes]:
    """The body from `offset` on, whether or not the host honoured the range."""
    if offset and status == 416:
        return iter(())
    if status == 412:
        raise NotServed(f"{_place(url)} changed while it was read")
    if status not in {200, 206}:
        raise _refusal(url, status)
    if head.get("content-encoding", "identity") != "identity":
        raise NotServed(f"{_place(url)} is served encoded, as nobody asked for")
    if status == 200:
        return _skip(chunks, offset)
    start = _RANGE.fullmatch(head.get("content-range", ""))
    if start is None or int(start[1]) != offset:
        raise NotServed(f"{_place(url)} serves another range than the one asked for")
    return chunks


def _refusal(url: str, status: int) -> TransientError:
    """A clear no is about the file; everything else may pass."""
    if status >= 500 or status < 200 or status in PASSING:
        return TransientError("store_unreachable", f"{_place(url)} answers with status {status}")
    return NotServed(f"{_place(url)} is not served: status {status}")


def _chunks(url: str, answer: httpcore2.Response) -> Iterator[bytes]:
    with _border(url):
        yield from answer.iter_stream()


def _skip(chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
    for chunk in chunks:
        kept = chunk[offset:]
        offset = max(0, offset - len(chunk))
        if kept:
            yield kept


@contextmanager
def _border(url: str) -> Iterator[None]:
    """What a host and the way to it can do wrong, in our words."""
    try:
        yield
    except ForbiddenAddress as error:
        raise NotServed(str(error)) from error
    except (
        httpcore2.TimeoutException,
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
        OSError,
        UnicodeError,
    ) as error:
        message = f"reading {_place(url)}: {type(error).__name__}: {error}"
        raise TransientError("store_unreachable", message) from error


def _place(url: str) -> str:
    """The URL without its query, which may hold a signature."""
    return url.partition("?")[0][:300]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Raises ValueError for a port that is none."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


@cache
def _ssl_context() -> SSLContext:
    return httpx2.create_ssl_context()
