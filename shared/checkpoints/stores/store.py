"""The store: what every place of published files has to do, and how it says that something is not there.

The download reads through it, `agon-miner submit` and the governance log publish through it. A store
moves bytes; it never judges them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from shared.errors import TransientError
from shared.protocol.manifest import Manifest

NotServedCode = Literal["withheld", "commitment_mismatch"]


class NotServed(TransientError):
    """The store answered, but what was committed is not there: it may still come before the deadline.

    The caller asks again until the fetch window closes and then records a Rejection with this code.
    """

    def __init__(self, message: str, *, code: NotServedCode = "withheld") -> None:
        super().__init__(code, message)


class Store(Protocol):
    """One checkpoint's place. Paths are those of a validated manifest, or names of our own.

    Reading is anonymous, always: a miner reads back what the public sees. All that one store object reads
    is of one revision, the one it found first.
    """

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """A whole small object. Raises Rejection `too_large` beyond the limit, NotServed when there is
        no such object, TransientError `store_unreachable` when the store does not answer."""
        ...

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        """The object from byte `offset` on. It ends only where the object ends: a broken connection
        raises. Errors as for `read`, at any time."""
        ...

    def prepare(self, source: Path, manifest: Manifest) -> None:
        """Bring the files of `manifest` to the store while nobody else can read them, so that `publish`
        only has to open them. Repeating it goes on where it stopped. Errors as for `publish`, and
        AgonError `store_exposed` when what was brought would be readable."""
        ...

    def publish(self, source: Path, manifest: Manifest) -> None:
        """Put the files of `manifest` from `source` in place, the manifest last, each file whole or not
        at all. Repeating it completes an earlier attempt. Raises AgonError `digest_mismatch` when the
        source is not what the manifest says, `store_denied` or `store_full` when the store refuses to
        take it, TransientError when the store does not answer."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put a small object in place, readable by all. Errors as for `publish`."""
        ...
