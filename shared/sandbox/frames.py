"""Length-checked JSON lines between a parent and its children, over plain file descriptors.

A frame is the payload's length in ASCII, a newline, the JSON object, a newline. A reader trusts nothing:
bounded lengths, exact separators, an object, finite numbers, and a deadline for the whole frame.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

MAX_FRAME_BYTES = 64 * 2**20
_HEADER_BYTES = 10
_CHUNK = 1 << 16


class FrameError(Exception):
    """The other side broke the protocol, was too slow or is gone."""


class FrameReader:
    """Reads frames from one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()

    def read(self, timeout_s: float | None = None) -> dict[str, Any]:
        """The next frame. Raises FrameError, also at end of file and after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _HEADER_BYTES:
                raise FrameError("a frame does not begin with its length")
            self._fill(deadline)
        header = bytes(self._buffer[:end])
        if not (header.isdigit() and len(header) <= _HEADER_BYTES and int(header) <= MAX_FRAME_BYTES):
            raise FrameError("a frame's length is not a number in range")
        size = int(header)
        del self._buffer[: end + 1]
        while len(self._buffer) < size + 1:
            self._fill(deadline)
        payload, separator = bytes(self._buffer[:size]), self._buffer[size]
        del self._buffer[: size + 1]
        if separator != ord("\n"):
            raise FrameError("a frame is longer than its length says")
        return _parse(payload)

    def _fill(self, deadline: float | None) -> None:
        wait(self._descriptor, deadline, writing=False)
        data = os.read(self._descriptor, _CHUNK)
        if not data:
            raise FrameError("the other side closed the connection")
        self._buffer += data


def write_frame(descriptor: int, value: dict[str, Any], timeout_s: float | None = None) -> None:
    """Write one frame. Raises FrameError when the other side is gone or does not read in time."""
    payload = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(payload)} bytes is too long")
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    view = memoryview(b"%d\n%s\n" % (len(payload), payload))
    while view:
        wait(descriptor, deadline, writing=True)
        try:
            view = view[os.write(descriptor, view[:_CHUNK]) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise FrameError(f"the other side is gone: {error}") from error


def wait(descriptor: int, deadline: float | None, *, writing: bool) -> None:
    """Block until the descriptor is ready. Raises FrameError at the deadline (monotonic seconds)."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    left_ms = None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000))
    if not poll.poll(left_ms):
        raise FrameError("the other side did not answer in time")


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FrameError("a frame is not an object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
