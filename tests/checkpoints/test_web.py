"""Hostile hosts: drips, floods, lies about lengths, redirects inwards. None of them stops a validator."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checkpoints.stores import NotServed
from shared.checkpoints.stores.guard import PATIENCE_S
from shared.checkpoints.stores.web import Web
from shared.errors import AgonError, Rejection, TransientError

HEAD = b"HTTP/1.1 200 OK\r\n"
Talk = Callable[[socket.socket], None]


class _Time:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def _host(talk: Talk) -> Iterator[str]:
    """A host that reads one request per connection and then does what `talk` does."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line:
                try:
                    line.recv(65536)
                    talk(line)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/file"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def _saying(data: bytes) -> Talk:
    return lambda line: line.sendall(data)


def _flooding(head: bytes, data: bytes) -> Talk:
    def talk(line: socket.socket) -> None:
        line.sendall(head)
        while True:
            line.sendall(data)

    return talk


def _read(url: str, web: Web | None = None, limit_bytes: int = 1000, **how: Any) -> bytes:
    with (web or Web(private=True)).get(url, **how) as answer:
        return answer.read(limit_bytes, "the file")


def test_an_honest_answer_is_read() -> None:
    with _host(_saying(HEAD + b"Content-Length: 5\r\n\r\nhello")) as url:
        assert _read(url) == b"hello"
        assert _read(url, offset=2) == b"llo"


@pytest.mark.parametrize(
    "head", [b"\r\n", b"Content-Length: 99999999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_an_endless_body_is_cut_off_at_the_limit(head: bytes) -> None:
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    with _host(_flooding(HEAD + head, chunk)) as url, pytest.raises(Rejection, match="too_large"):
        _read(url)


def test_what_is_said_to_be_too_large_is_not_read() -> None:
    with _host(_saying(HEAD + b"Content-Length: 1001\r\n\r\n")) as url, pytest.raises(Rejection):
        _read(url)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 300,
        b"SSH-2.0-OpenSSH\r\n",
        HEAD + b"Content-Length: 9\r\n\r\nshort",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=[
        "nothing",
        "zeros",
        "ssh",
        "early end",
        "negative",
        "two lengths",
        "chunks",
        "head bomb",
        "503",
        "429",
    ],
)
def test_a_broken_answer_is_nobodys_fault_yet(data: bytes) -> None:
    with _host(_saying(data)) as url, pytest.raises(TransientError) as caught:
        _read(url)
    assert caught.value.code == "store_unreachable"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
    ],
    ids=["403", "404", "412", "204", "redirect", "gzip"],
)
def test_a_clear_no_is_the_publishers(data: bytes) -> None:
    with _host(_saying(data)) as url, pytest.raises(NotServed):
        _read(url)


def test_a_range_that_was_not_asked_for_is_refused() -> None:
    part = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhello"
    with _host(_saying(part)) as url, pytest.raises(NotServed, match="another range"):
        _read(url, offset=4)
    with _host(_saying(part.replace(b"0-4", b"4-8"))) as url:
        assert _read(url, offset=4) == b"hello"
    with _host(_saying(b"HTTP/1.1 416 Range\r\nContent-Length: 3\r\n\r\n<x>")) as url:
        assert _read(url, offset=9) == b""


@pytest.mark.parametrize("body", [False, True], ids=["in the head", "in the body"])
def test_a_host_that_drips_is_cut_off(body: bool) -> None:
    time = _Time()

    def drip(line: socket.socket) -> None:
        line.sendall(HEAD + (b"\r\n" if body else b""))
        while True:
            time.now_s += PATIENCE_S / 4
            line.sendall(b"x")
            line.recv(0)

    with _host(drip) as url, pytest.raises(TransientError, match="too slowly"):
        _read(url, Web(private=True, clock=time), limit_bytes=10**12)


def test_informational_answers_earn_no_time() -> None:
    time = _Time()

    def flood(line: socket.socket) -> None:
        while True:
            time.now_s += PATIENCE_S / 20
            line.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    with _host(flood) as url, pytest.raises(TransientError, match="too slowly"):
        _read(url, Web(private=True, clock=time))


def test_redirects_are_followed_when_asked_and_not_for_ever() -> None:
    again = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with _host(_saying(again)) as url, pytest.raises(NotServed, match="status 302"):
        _read(url, redirects=5)


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://a/b",
        "gopher://127.0.0.1/",
        "http://a b/",
        "http://[::1",
        "http://x:99999/",
    ],
)
def test_a_redirect_to_no_web_page_is_not_followed(target: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    with _host(_saying(answer)) as url, pytest.raises((NotServed, TransientError)):
        _read(url, redirects=5)


def _say_random(line: socket.socket, said: list[bytes]) -> None:
    line.sendall(said[-1])


def test_random_answers_raise_nothing_but_our_errors() -> None:
    said = [b""]

    @given(
        st.sampled_from(
            [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"]
        ),
        st.binary(max_size=200),
        st.integers(0, 9),
    )
    @settings(max_examples=80)
    def check(start: bytes, rest: bytes, offset: int) -> None:
        said.append(start + rest)
        with suppress(AgonError):
            _read(url, offset=offset, redirects=1)

    with _host(lambda line: _say_random(line, said)) as url:
        check()


@given(
    st.text(max_size=80)
    | st.builds("{}://{}:{}/".format, st.text(max_size=6), st.text(max_size=9), st.integers())
)
@settings(max_examples=60)
def test_random_redirects_raise_nothing_but_our_errors(target: str) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: " + target.encode("utf-8", "replace") + b"\r\n"
    web = Web(private=True, resolve=lambda host, port: ["127.0.0.1"] if host == "start" else [])
    with _host(_saying(head + b"Content-Length: 0\r\n\r\n")) as url, suppress(AgonError):
        _read(url.replace("127.0.0.1", "start"), web, redirects=2)


def test_a_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    with _host(_saying(HEAD + b"Content-Length: 5\r\n\r\nhello")) as url:
        answers = iter([["127.0.0.1"], ["10.0.0.1"]])
        port = url.split(":")[2]
        web = Web(private=True, resolve=lambda host, port: next(answers))
        assert _read(f"http://rebinding.example:{port}", web) == b"hello"


def test_only_the_operators_own_hub_may_be_private() -> None:
    with _host(_saying(HEAD + b"Content-Length: 5\r\n\r\nhello")) as url:
        assert _read(url, Web(private=False, trusted=url)) == b"hello"
        with pytest.raises(NotServed, match="https only"):
            _read(url, Web(private=False, trusted="http://127.0.0.1:1"))
        with pytest.raises(NotServed, match="https only"):
            _read(url, Web(private=False))


def test_a_signature_in_a_url_is_not_told() -> None:
    with _host(_saying(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")) as url:
        with pytest.raises(NotServed) as caught:
            _read(url + "?X-Amz-Signature=secret")
        assert "secret" not in caught.value.message
