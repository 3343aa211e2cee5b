"""The Hub: what a miner writes to a Hugging Face repository, through huggingface_hub.

Only the `hf://` store calls it, with the miner's token; validators never come here. Files are handed over
as open files, so no link is followed and nothing is left in a cache.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from shared.checkpoints.files import read_chunks
from shared.checkpoints.stores.source import changed, open_source
from shared.errors import AgonError, TransientError
from shared.protocol.manifest import MANIFEST_NAME, ManifestFile

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile, RepoFolder

REQUEST_S = 120.0
FULL_STATUS = frozenset({402, 413, 507})
FULL_WORDS = ("storage", "quota", "exceeded", "limit reached")
"""A Hub out of room for an account says 403 and explains itself in words."""


class Hub:
    """One repository, as its owner sees it."""

    def __init__(self, endpoint: str, repo: str, token: str | None) -> None:
        self._endpoint = endpoint
        self._repo = repo
        self._token = token

    def create(self, *, private: bool) -> bool:
        """Make the repository unless it is there, and say whether it is private."""
        with self._api() as api:
            api.create_repo(self._repo, private=private, exist_ok=True)
            return bool(api.model_info(self._repo, expand=["private"]).private)

    def open(self) -> None:
        """Let everybody read the repository."""
        with self._api() as api:
            api.update_repo_settings(self._repo, private=False)

    def missing(self, source: Path, files: Sequence[ManifestFile]) -> list[ManifestFile]:
        """Those of `files` in `source` that the repository does not hold as they are."""
        with self._api() as api:
            held = {info.path: info for info in api.get_paths_info(self._repo, [f.path for f in files])}
        return [file for file in files if not _is_held(held.get(file.path), source, file)]

    def upload(self, source: Path, files: Sequence[ManifestFile]) -> None:
        """Commit `files` from `source` in one commit, and drop an older manifest with it.

        An older manifest must not vouch for a mixture of old and new files.
        """
        if not files:
            return
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with ExitStack() as stack, self._api() as api:
            adding = []
            for file in files:
                operation = CommitOperationAdd(file.path, stack.enter_context(open_source(source, file)))
                if "sha256:" + operation.upload_info.sha256.hex() != file.digest:
                    raise changed(file)
                adding.append(operation)
            stale = api.get_paths_info(self._repo, [MANIFEST_NAME])
            dropping = [CommitOperationDelete(MANIFEST_NAME) for _ in stale]
            api.create_commit(self._repo, [*dropping, *adding], commit_message="Bring the files")

    def put(self, path: str, data: bytes) -> None:
        """Commit one small file."""
        from huggingface_hub import CommitOperationAdd

        with self._api() as api:
            operation = CommitOperationAdd(path, BytesIO(data))
            api.create_commit(self._repo, [operation], commit_message=f"Write {path}")

    @contextmanager
    def _api(self) -> Iterator[HfApi]:
        """The Hub's client with our token and our timeouts; its errors leave in our words."""
        if self._token is None:
            message = f"writing to hf://{self._repo} needs a token"
            raise AgonError("store_denied", message, help="set HF_TOKEN to a token that may write there")
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError

        _adjust_huggingface_hub()
        try:
            yield HfApi(endpoint=self._endpoint, token=self._token)
        except (HfHubHTTPError, httpx2.HTTPError, RuntimeError, ValueError) as error:
            raise _in_our_words(error, self._repo) from error


@cache
def _adjust_huggingface_hub() -> None:
    """Once a process: give it a client with timeouts, which also works where HF_HUB_OFFLINE keeps models
    local, and silence its warning that files are uploaded over HTTP, as they are meant to be."""
    from huggingface_hub import set_client_factory

    set_client_factory(lambda: httpx2.Client(follow_redirects=True, timeout=REQUEST_S))
    logging.getLogger("huggingface_hub._commit_api").setLevel(logging.ERROR)


def _in_our_words(error: Exception, repo: str) -> AgonError:
    """What the Hub's refusal means for whoever uploads."""
    message = f"hf://{repo}: {' '.join(str(error).split())[:300]}"
    status = _status_of(error)
    explained = any(word in message.lower() for word in FULL_WORDS)
    if status in FULL_STATUS or (explained and status in {None, 403}):
        return AgonError("store_full", message)
    silent = status is None and isinstance(error, httpx2.HTTPError)
    if silent or (status is not None and (status >= 500 or status in {408, 429})):
        return TransientError("store_unreachable", message)
    return AgonError("store_denied", message)


def _status_of(error: BaseException | None) -> int | None:
    """Status of the answer behind an error, which huggingface_hub wraps in places."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, httpx2.Response):
            return response.status_code
        error = error.__cause__
    return None


def _is_held(info: RepoFile | RepoFolder | None, source: Path, file: ManifestFile) -> bool:
    """Whether what the repository has at this path is the file: by SHA-256, or by git's name for it."""
    size_bytes = getattr(info, "size", None)
    if size_bytes != file.size_bytes:
        return False
    lfs = getattr(info, "lfs", None)
    if lfs is not None:
        return bool("sha256:" + lfs.sha256 == file.digest)
    with open_source(source, file) as opened:
        hasher = hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)
        for chunk in read_chunks(opened):
            hasher.update(chunk)
    return bool(getattr(info, "blob_id", None) == hasher.hexdigest())
