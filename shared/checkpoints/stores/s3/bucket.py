"""The bucket: what a miner writes to an S3 bucket, signed, through botocore.

Only the `s3://` store calls it; validators never come here. A large file is uploaded in parts, and an
upload that broke off goes on with the parts that are missing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from shared.checkpoints.stores.source import changed, open_source
from shared.errors import AgonError, TransientError
from shared.protocol.manifest import ManifestFile
from shared.types import Digest

PART_BYTES = 16 << 20
COPY_PART_BYTES = 1 << 30
DIGEST_FIELD = "sha256"
"""Metadata field that says what an object is: its ETag depends on how it was uploaded."""

FULL = frozenset(
    {"QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "InsufficientStorage"}
)
NO_UPLOADS = frozenset({"NotImplemented", "MethodNotAllowed", "AccessDenied"})
"""Answers of a host that does not list what was left unfinished: the upload starts anew."""
NEVER: frozenset[str] = frozenset()
ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "403"})
"""Answers for an object that is not there: a host that may not list for us says 403."""


@dataclass(frozen=True)
class Keys:
    """Who signs, and where."""

    endpoint: str
    """URL of the S3 API."""
    key_id: str
    secret: str = field(repr=False)
    session: str | None = field(repr=False)
    region: str

    @property
    def client(self) -> Any:
        """A botocore client. It reads no configuration of the user's but these keys."""
        return _make_client(self)


@cache
def _make_client(keys: Keys) -> Any:
    """One client for all stores of a process: making one takes a second."""
    from botocore.config import Config
    from botocore.session import Session

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"max_attempts": 3, "mode": "standard"},
        connect_timeout=15,
        read_timeout=120,
        # hosts other than Amazon know no checksum trailers
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return Session().create_client(
        "s3",
        endpoint_url=keys.endpoint,
        region_name=keys.region,
        aws_access_key_id=keys.key_id,
        aws_secret_access_key=keys.secret,
        aws_session_token=keys.session,
        config=config,
    )


class Bucket:
    """One bucket, as its owner sees it. Every method raises AgonError `store_denied` or `store_full`, and
    TransientError `store_unreachable`."""

    def __init__(self, keys: Keys, name: str) -> None:
        self.name = name
        self._keys = keys

    def holds(self, key: str, file: ManifestFile) -> bool:
        """Whether the object is the file, as its uploader noted."""
        head = self._call("head_object", ABSENT, Key=key)
        if head is None:
            return False
        return bool(
            (head["ContentLength"], head["Metadata"].get(DIGEST_FIELD)) == (file.size_bytes, file.digest)
        )

    def put(self, key: str, data: bytes) -> None:
        """Write a small object."""
        self._call("put_object", Key=key, Body=data, Metadata={DIGEST_FIELD: _digest(data)})

    def drop(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._call("delete_object", ABSENT, Key=key)

    def bring(self, key: str, source: Path, file: ManifestFile) -> None:
        """Upload a file; it appears whole or not at all. Raises AgonError `digest_mismatch` when the
        source is not the file, and leaves no object then."""
        with open_source(source, file) as opened:
            if file.size_bytes > PART_BYTES:
                self._bring_parts(key, opened, file)
                return
            data = opened.read(PART_BYTES + 1)
        if _digest(data) != file.digest:
            raise changed(file)
        self.put(key, data)

    def copy(self, key: str, origin: Bucket, origin_key: str, file: ManifestFile) -> None:
        """Copy an object that holds `file` from another place of the same host, without moving its bytes."""
        place = {"Bucket": origin.name, "Key": origin_key}
        if file.size_bytes <= COPY_PART_BYTES:
            self._call("copy_object", Key=key, CopySource=place)
            return
        upload, parts = self._begin(key, file), list[dict[str, Any]]()
        for number, start in enumerate(range(0, file.size_bytes, COPY_PART_BYTES), start=1):
            span = f"bytes={start}-{min(start + COPY_PART_BYTES, file.size_bytes) - 1}"
            part = {"PartNumber": number, "CopySource": place, "CopySourceRange": span, **upload}
            made = self._call("upload_part_copy", **part)
            parts.append({"PartNumber": number, "ETag": made["CopyPartResult"]["ETag"]})
        self._call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})

    def _bring_parts(self, key: str, opened: BinaryIO, file: ManifestFile) -> None:
        upload = self._find_unfinished(key)
        there = {} if upload is None else self._parts_of(upload)
        upload = upload or self._begin(key, file)
        hasher, parts = hashlib.sha256(), list[dict[str, Any]]()
        while data := opened.read(PART_BYTES):
            hasher.update(data)
            number, tag = len(parts) + 1, hashlib.md5(data, usedforsecurity=False).hexdigest()
            if there.get(number) != tag:
                tag = self._call("upload_part", **upload, PartNumber=number, Body=data)["ETag"]
            parts.append({"PartNumber": number, "ETag": tag})
        if "sha256:" + hasher.hexdigest() != file.digest:
            self._call("abort_multipart_upload", **upload)
            raise changed(file)
        self._call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})

    def _begin(self, key: str, file: ManifestFile) -> dict[str, Any]:
        """Begin an upload in parts; returns what names it."""
        made = self._call("create_multipart_upload", Key=key, Metadata={DIGEST_FIELD: file.digest})
        return {"Key": key, "UploadId": str(made["UploadId"])}

    def _find_unfinished(self, key: str) -> dict[str, Any] | None:
        """The newest upload of this key that broke off."""
        page = self._call("list_multipart_uploads", NO_UPLOADS, Prefix=key) or {}
        found = [(one["Initiated"], one["UploadId"]) for one in page.get("Uploads", []) if one["Key"] == key]
        return {"Key": key, "UploadId": max(found)[1]} if found else None

    def _parts_of(self, upload: dict[str, Any]) -> dict[int, str]:
        """MD5 of each part that came through."""
        tags: dict[int, str] = {}
        page: dict[str, Any] | None = {"IsTruncated": True}
        while page and page.get("IsTruncated"):
            page = self._call("list_parts", NO_UPLOADS, **upload, PartNumberMarker=max(tags, default=0)) or {}
            new = {part["PartNumber"]: part["ETag"].strip('"') for part in page.get("Parts", [])}
            if not new:
                break
            tags |= new
        return tags

    def _call(self, operation: str, expected: frozenset[str] = NEVER, /, **arguments: Any) -> Any:
        """One request to the host; None for a refusal that is `expected`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._keys.client, operation)(Bucket=self.name, **arguments)
        except ClientError as error:
            if error.response["Error"].get("Code") in expected:
                return None
            raise _in_our_words(error.response, f"bucket {self.name}: {error}") from error
        except (BotoCoreError, ValueError) as error:
            message = f"bucket {self.name}: {type(error).__name__}: {error}"
            raise TransientError("store_unreachable", message) from error


def _in_our_words(response: Any, message: str) -> AgonError:
    """What a host's refusal means for whoever uploads."""
    code, status = response["Error"].get("Code", ""), response["ResponseMetadata"].get("HTTPStatusCode", 500)
    if code in FULL or status in {402, 507}:
        return AgonError("store_full", message)
    if status >= 500 or status in {408, 429} or code in {"SlowDown", "NoSuchUpload", "RequestTimeout"}:
        return TransientError("store_unreachable", message)
    return AgonError("store_denied", message)


def _digest(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())
