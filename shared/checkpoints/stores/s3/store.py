"""The S3 store: objects below a prefix that everybody may read, brought to a private prefix before.

Reading is an anonymous GET of one object at a time over https: nothing is listed, so a bucket of a million
objects costs nothing. Writing goes through `bucket.py` with the miner's keys.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from shared.checkpoints.stores.s3.bucket import Bucket, Keys
from shared.checkpoints.stores.store import NotServed
from shared.checkpoints.stores.web import Answer, Web
from shared.errors import AgonError
from shared.protocol.manifest import MANIFEST_NAME, Manifest
from shared.protocol.wire import canonical_json

STAGING = "agon-staging"
"""Prefix of what is brought before it may be read; nobody else may read below it."""
PROBE = "agon-probe"
"""Name of the object that shows who can read a prefix."""


@dataclass(frozen=True)
class Writing:
    """How a miner writes to the place behind a locator."""

    keys: Keys
    bucket: str | None = None
    """Bucket behind a domain of its own; None when the locator names it."""
    staging: str | None = None
    """Bucket of what is private still; None for the same bucket."""


class S3Store:
    """One prefix in one bucket."""

    def __init__(self, name: str, *, web: Web, writing: Writing | None = None) -> None:
        """`name` is `host/bucket/prefix`."""
        self._name = name
        self._web = web
        self._writing = writing
        self._etags: dict[str, str] = {}

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """See `Store.read`."""
        with self._open(path, 0) as answer:
            self._require_revision(path, answer)
            return answer.read(limit_bytes, path)

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        """See `Store.stream`."""
        with self._open(path, offset) as answer:
            self._require_revision(path, answer)
            yield from answer.chunks

    def prepare(self, source: Path, manifest: Manifest) -> None:
        """See `Store.prepare`: the files lie below a private prefix, on the host that will serve them."""
        bucket, prefix, staging = self._places()
        hidden = self._why_hidden(bucket, f"{prefix}/{PROBE}", f"{url_of(self._name)}/{PROBE}")
        if hidden is not None:
            message = f"nobody could read what is published at s3://{self._name}: {hidden}"
            help_line = "let everybody get objects below it: `Locators` in docs/miner.md has the policy"
            raise AgonError("store_denied", message, help=help_line)
        probe = f"{STAGING}/{PROBE}"
        if any(self._why_hidden(staging, probe, url) is None for url in self._urls(staging, probe)):
            message = f"everybody can read {STAGING}/ in bucket {staging.name}: files there could be copied"
            raise AgonError("store_exposed", message)
        for file in manifest.files:
            key = _staged(manifest, file.path)
            if not staging.holds(key, file):
                staging.bring(key, source, file)

    def publish(self, source: Path, manifest: Manifest) -> None:
        """See `Store.publish`: what was brought is copied within the host, the manifest last."""
        bucket, prefix, staging = self._places()
        # an older manifest must not vouch for a mixture of old and new files
        bucket.drop(f"{prefix}/{MANIFEST_NAME}")
        for file in manifest.files:
            key, staged = f"{prefix}/{file.path}", _staged(manifest, file.path)
            if bucket.holds(key, file):
                continue
            if staging.holds(staged, file):
                bucket.copy(key, staging, staged, file)
            else:
                bucket.bring(key, source, file)
        bucket.put(f"{prefix}/{MANIFEST_NAME}", canonical_json(manifest))
        for file in manifest.files:
            staging.drop(_staged(manifest, file.path))
        self._etags.clear()

    def write(self, path: str, data: bytes) -> None:
        """See `Store.write`."""
        bucket, prefix, _ = self._places()
        bucket.put(f"{prefix}/{path}", data)
        self._etags.pop(path, None)

    def _open(self, path: str, offset: int) -> AbstractContextManager[Answer]:
        url = f"{url_of(self._name)}/{quote(path)}"
        return self._web.get(url, offset=offset, match=self._etags.get(path))

    def _require_revision(self, path: str, answer: Answer) -> None:
        """An object is the one that it was when first read; the manifest's digests tie them together."""
        etag = answer.heads[0].get("etag")
        if etag is not None and self._etags.setdefault(path, etag) != etag:
            raise NotServed(f"{path} of s3://{self._name} changed while it was read")

    def _places(self) -> tuple[Bucket, str, Bucket]:
        """The bucket and prefix behind the locator, and the bucket of what is private still."""
        if self._writing is None:
            message = f"writing to s3://{self._name} needs keys"
            help_line = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may write there"
            raise AgonError("store_denied", message, help=help_line)
        if find_spec("botocore") is None:
            help_line = "install Agon with its extra: pip install 'agon[s3]'"
            raise AgonError("store_denied", "writing to s3:// needs botocore", help=help_line)
        named, prefix = self._name.split("/", 1)[1].split("/", 1)
        if self._writing.bucket is not None:
            prefix = f"{named}/{prefix}"
        bucket = Bucket(self._writing.keys, self._writing.bucket or named)
        return bucket, prefix, Bucket(self._writing.keys, self._writing.staging or bucket.name)

    def _urls(self, bucket: Bucket, key: str) -> list[str]:
        """Where somebody without keys would look for an object."""
        host = self._name.split("/")[0]
        assert self._writing is not None
        urls = [f"{self._writing.keys.endpoint}/{bucket.name}/{key}"]
        if self._writing.bucket is None:
            return [*urls, f"{url_of(host)}/{bucket.name}/{key}"]
        return [*urls, f"{url_of(host)}/{key}"] if bucket.name == self._writing.bucket else urls

    def _why_hidden(self, bucket: Bucket, key: str, url: str) -> str | None:
        """Why nobody can read what is put under this key; None when everybody can."""
        bucket.put(key, b"agon")
        try:
            with self._web.get(url):
                return None
        except NotServed as error:
            return error.message
        finally:
            bucket.drop(key)


def url_of(name: str) -> str:
    """The URL that `host/path` is read at: https, or http for an IP address of one's own network."""
    host = name.split("/", 1)[0].rsplit(":", 1)[0]
    try:
        private = not ipaddress.ip_address(host).is_global
    except ValueError:
        private = host == "localhost"
    return f"{'http' if private else 'https'}://{name}"


def _staged(manifest: Manifest, path: str) -> str:
    return f"{STAGING}/{manifest.digest.removeprefix('sha256:')}/{path}"
