"""A judge on its way into a store: held to what a build asks of it, put in place, read back without keys.

`agon-validator judge publish` calls it. The manifest goes last, so a judge that is served is whole, and the
same command again goes on where it stopped. It hides nothing: whoever knows the place can read it.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.chain.commitment import Locator, parse_locator
from shared.checkpoints.allowlist import ALLOWED_NAMES, manifest_findings
from shared.checkpoints.manifest import MANIFEST_LIMIT_BYTES, build_manifest
from shared.checkpoints.stores import NotServed, open_store
from shared.errors import AgonError
from shared.protocol.manifest import MANIFEST_NAME, Manifest
from shared.protocol.wire import DigestField, sha256_digest
from shared.settings import Settings
from shared.types import JudgeName
from validator.owner.judges.sources import LIMITS, require_judge
from validator.owner.preflight import check_judges


class PublishedJudge(BaseModel):
    """A judge that everybody who knows its place can fetch."""

    model_config = ConfigDict(frozen=True)

    source: str
    """Place and digest, as `judge evaluate` and `competition build --judge NAME=SOURCE` take it."""
    digest: DigestField
    """Digest of the manifest: the judge's digest in the rules of a competition."""
    size_bytes: int
    left_out: tuple[str, ...]
    """Files of the directory that no judge may have; they were not published."""


def publish_judge(directory: Path, place: str, settings: Settings) -> PublishedJudge:
    """Publish the judge in `directory` at `place`, in place of what was there.

    Raises AgonError `judge_unavailable` (no judge's files), `judge_invalid` or `judge_non_finite` before
    anything is uploaded; what the store raises; `store_denied` when nobody could fetch what was published.
    """
    locator = parse_locator(place)
    store = open_store(locator, settings)
    require_judge(directory, str(directory))
    check_judges({JudgeName(directory.resolve().name): directory})
    every = build_manifest(directory)
    manifest = Manifest(files=tuple(file for file in every.files if file.path in ALLOWED_NAMES))
    for finding in manifest_findings(manifest, LIMITS):
        raise finding
    store.publish(directory, manifest)
    _read_back(locator, manifest, settings)
    return PublishedJudge(
        source=f"{locator}#{manifest.digest}",
        digest=manifest.digest,
        size_bytes=manifest.total_bytes,
        left_out=tuple(file.path for file in every.files if file.path not in ALLOWED_NAMES),
    )


def _read_back(locator: Locator, manifest: Manifest, settings: Settings) -> None:
    """Ask for the manifest as the public does. Raises AgonError `store_denied` when another or none comes."""
    try:
        served = open_store(locator, settings).read(MANIFEST_NAME, limit_bytes=MANIFEST_LIMIT_BYTES)
    except NotServed as error:
        message = f"the judge is in place, but nobody can read it: {error.message}"
        help_line = "let everybody get objects below it: `Locators` in docs/miner.md has the policy"
        raise AgonError("store_denied", message, help=help_line) from error
    if sha256_digest(served) != manifest.digest:
        raise AgonError("store_denied", f"{locator} serves another manifest than the one put there")
