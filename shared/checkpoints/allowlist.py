"""Which files a checkpoint may have, decided from its manifest alone.

The download asks before it fetches a byte of tensors, admission asks again, and `agon-miner package`
copies nothing else. Names off the list are refused whatever they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from shared.errors import Rejection
from shared.protocol.competition import CheckpointLimits
from shared.protocol.manifest import Manifest

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"

TOLERATED_NAMES = frozenset(
    {
        CONFIG_NAME,
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "README.md",
    }
)
"""Files that tools write beside the tensors: accepted and never used, the competition's own are."""

ALLOWED_NAMES = TOLERATED_NAMES | {WEIGHTS_NAME}

PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"})
"""Formats whose readers may run code from the file."""


def manifest_findings(manifest: Manifest, limits: CheckpointLimits) -> Iterator[Rejection]:
    """Everything that a manifest alone gives away: too much, forbidden names, no tensors."""
    if manifest.total_bytes > limits.bytes:
        yield Rejection("too_large", f"{manifest.total_bytes} bytes in all; the limit is {limits.bytes}")
    if len(manifest.files) > limits.files:
        yield Rejection("too_large", f"{len(manifest.files)} files; the limit is {limits.files}")
    for file in manifest.files:
        if file.path not in ALLOWED_NAMES:
            yield Rejection("file_forbidden", forbidden_message(file.path))
    if all(file.path != WEIGHTS_NAME for file in manifest.files):
        yield Rejection("architecture_mismatch", f"{WEIGHTS_NAME} is missing")


def forbidden_message(path: str) -> str:
    """Why a file off the list is refused."""
    if PurePosixPath(path).suffix.lower() in PICKLE_SUFFIXES:
        return f"{path!r} is a pickle, which can run code when it is loaded"
    return f"{path!r} is not one of the files that a checkpoint may have"
