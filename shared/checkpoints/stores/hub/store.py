"""The Hugging Face store: a model repository that is private until its slot comes.

Reading is anonymous: the branch is resolved to one commit first, and every file is read at that commit.
Writing goes through huggingface_hub with the miner's token; `hub.py` is the border to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

from shared.checkpoints.stores.hub.client import Hub
from shared.checkpoints.stores.store import NotServed
from shared.checkpoints.stores.web import MAX_REDIRECTS, Answer, Web
from shared.errors import AgonError, TransientError
from shared.protocol.manifest import MANIFEST_NAME, Manifest
from shared.protocol.wire import canonical_json

BRANCH = "main"
INFO_LIMIT_BYTES = 1_000_000
"""Most bytes of the Hub's account of a revision; one that lists a million files is not read."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HfStore:
    """A repository on a Hub."""

    def __init__(self, endpoint: str, repo: str, *, web: Web, token: str | None = None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._repo = repo
        self._web = web
        self._hub = Hub(self._endpoint, repo, token)
        self._commit: str | None = None

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """See `Store.read`."""
        with self._open(path, 0) as answer:
            self._require_revision(answer)
            return answer.read(limit_bytes, path)

    def stream(self, path: str, *, offset: int = 0) -> Iterator[bytes]:
        """See `Store.stream`."""
        with self._open(path, offset) as answer:
            self._require_revision(answer)
            yield from answer.chunks

    def prepare(self, source: Path, manifest: Manifest) -> None:
        """See `Store.prepare`: the files lie in a private repository, without the manifest."""
        private = self._hub.create(private=True)
        missing = self._hub.missing(source, manifest.files)
        if missing and not private:
            message = f"hf://{self._repo} is public already: files uploaded to it could be copied"
            raise AgonError("store_exposed", message)
        self._hub.upload(source, missing)

    def publish(self, source: Path, manifest: Manifest) -> None:
        """See `Store.publish`: the repository becomes public, and then the manifest is committed."""
        self._hub.create(private=True)
        self._hub.upload(source, self._hub.missing(source, manifest.files))
        self._hub.open()
        self._hub.put(MANIFEST_NAME, canonical_json(manifest))
        self._commit = None

    def write(self, path: str, data: bytes) -> None:
        """See `Store.write`."""
        if self._hub.create(private=False):
            self._hub.open()
        self._hub.put(path, data)
        self._commit = None

    def _open(self, path: str, offset: int) -> AbstractContextManager[Answer]:
        url = f"{self._endpoint}/{self._repo}/resolve/{self._resolved()}/{quote(path)}"
        return self._web.get(url, offset=offset, redirects=MAX_REDIRECTS)

    def _resolved(self) -> str:
        """The commit that everything is read at: the branch's, when this store was first read."""
        if self._commit is None:
            # without `expand` the Hub lists every file of the repository
            url = f"{self._endpoint}/api/models/{self._repo}/revision/{BRANCH}?expand=sha"
            with self._web.get(url, redirects=MAX_REDIRECTS) as answer:
                self._commit = _commit_in(answer.read(INFO_LIMIT_BYTES, "the revision"), self._repo)
        return self._commit

    def _require_revision(self, answer: Answer) -> None:
        served = answer.heads[0].get("x-repo-commit", self._commit)
        if served != self._commit:
            raise NotServed(f"hf://{self._repo} serves commit {served} instead of {self._commit}")


def _commit_in(data: bytes, repo: str) -> str:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TransientError("store_unreachable", f"the Hub's account of {repo} is not JSON") from error
    commit = found.get("sha") if isinstance(found, dict) else None
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise TransientError("store_unreachable", f"the Hub names no commit of {repo}")
    return commit
