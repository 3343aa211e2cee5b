"""Admission: whether a fetched checkpoint may enter a duel, decided on its bytes, cheap checks first.

One sequence of checks has two readers: the validator stops at the first finding (`inspect`), and
`agon-miner check` lists them all (`findings`). No byte of a miner's file reaches torch from here, and
weight distance decides nothing. Whether the tensors are somebody else's is the ledger's to say.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.checkpoints.allowlist import CONFIG_NAME, WEIGHTS_NAME, manifest_findings
from shared.checkpoints.files import hash_file, open_regular
from shared.checkpoints.headers import TensorHeader, read_header, unique_object
from shared.checkpoints.tensors import (
    FLOAT_NAMES,
    BaseTable,
    BaseTensor,
    TensorStats,
    measure,
    tensor_root,
)
from shared.errors import Rejection
from shared.protocol.competition import Architecture, CheckpointLimits, Competition
from shared.protocol.manifest import MANIFEST_NAME, Manifest, ManifestFile
from shared.types import Digest

CONFIG_LIMIT_BYTES = 64 << 10
FORBIDDEN_CONFIG_KEYS = ("auto_map", "quantization_config")
"""Keys that make a loader run foreign code or read the tensors in another way."""


@dataclass(frozen=True)
class Admission:
    """A checkpoint that passed every check."""

    tensor_root: Digest
    """Merkle root over its tensors: equal for equal tensors."""
    tensors: dict[str, TensorStats]


def inspect(root: Path, manifest: Manifest, rules: Competition, base_table: BaseTable) -> Admission:
    """Admit the checkpoint below `root`, or raise its first finding as a Rejection."""
    checks = _checks(root, manifest, rules, base_table)
    try:
        raise next(checks)
    except StopIteration as end:
        admission: Admission = end.value
        return admission


def findings(root: Path, manifest: Manifest, rules: Competition, base_table: BaseTable) -> list[Rejection]:
    """Everything that is wrong with the checkpoint below `root`, in the order of the checks."""
    return list(_checks(root, manifest, rules, base_table))


def _checks(
    root: Path, manifest: Manifest, rules: Competition, base_table: BaseTable
) -> Generator[Rejection, None, Admission | None]:
    architecture = rules.architecture
    yield from manifest_findings(manifest, architecture.limits)
    yield from _file_findings(root, manifest)
    yield from _config_findings(root, manifest, architecture.family)
    if all(file.path != WEIGHTS_NAME for file in manifest.files):
        return None
    try:
        header = read_header(root, WEIGHTS_NAME)
    except Rejection as finding:
        yield finding
        return None
    yield from _table_findings(header, base_table)
    yield from _dtype_findings(header, architecture)
    readable = {name: tensor for name, tensor in header.items() if tensor.dtype in FLOAT_NAMES}
    tensors = {}
    for name, stats in measure(root, readable):
        tensors[name] = stats
        yield from _tensor_findings(name, stats, base_table.tensors.get(name), architecture.limits)
    return Admission(tensor_root(tensors), tensors)


def _file_findings(root: Path, manifest: Manifest) -> Iterator[Rejection]:
    listed = {file.path.split("/")[0] for file in manifest.files} | {MANIFEST_NAME}
    for name in sorted(os.listdir(root)):  # noqa: PTH208 - names only, nothing is opened
        if name not in listed:
            yield Rejection("file_forbidden", f"{name!r} is not in the manifest")
    for file in manifest.files:
        finding = _digest_finding(root, file)
        if finding:
            yield finding


def _digest_finding(root: Path, expected: ManifestFile) -> Rejection | None:
    try:
        with open_regular(root, expected.path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes != expected.size_bytes:
                message = f"{expected.path} has {size_bytes} bytes; its manifest says {expected.size_bytes}"
                return Rejection("digest_mismatch", message)
            _, digest = hash_file(file)
    except OSError as error:
        return Rejection("digest_mismatch", f"{expected.path} cannot be read: {error.strerror}")
    if digest != expected.digest:
        return Rejection("digest_mismatch", f"{expected.path} has another digest than its manifest says")
    return None


def _table_findings(header: dict[str, TensorHeader], base_table: BaseTable) -> Iterator[Rejection]:
    base = base_table.tensors
    for name in sorted(base.keys() - header.keys()):
        yield Rejection("architecture_mismatch", f"tensor {name!r} is missing")
    for name in sorted(header.keys() - base.keys()):
        yield Rejection("architecture_mismatch", f"tensor {name!r} is not in the base model")
    for name in sorted(header.keys() & base.keys()):
        if header[name].shape != base[name].shape:
            shapes = f"{list(header[name].shape)}; the base has {list(base[name].shape)}"
            yield Rejection("architecture_mismatch", f"tensor {name!r} has shape {shapes}")


def _dtype_findings(header: dict[str, TensorHeader], architecture: Architecture) -> Iterator[Rejection]:
    for name, tensor in header.items():
        if FLOAT_NAMES.get(tensor.dtype) not in architecture.dtypes:
            yield Rejection(
                "dtype_forbidden",
                f"tensor {name!r} has dtype {tensor.dtype}; allowed: {', '.join(architecture.dtypes)}",
            )


def _config_findings(root: Path, manifest: Manifest, family: str) -> Iterator[Rejection]:
    if all(file.path != CONFIG_NAME for file in manifest.files):
        return
    try:
        config = _read_config(root)
    except (OSError, ValueError, RecursionError) as error:
        yield Rejection("config_forbidden", f"{CONFIG_NAME} cannot be read: {error}")
        return
    if config.get("architectures") != [family]:
        yield Rejection("config_forbidden", f"{CONFIG_NAME} must name the architecture {family!r} alone")
    for key in FORBIDDEN_CONFIG_KEYS:
        if key in config:
            yield Rejection("config_forbidden", f"{CONFIG_NAME} has the key {key!r}")


def _read_config(root: Path) -> dict[str, Any]:
    with open_regular(root, CONFIG_NAME) as file:
        data = file.read(CONFIG_LIMIT_BYTES + 1)
    if len(data) > CONFIG_LIMIT_BYTES:
        raise ValueError(f"more than {CONFIG_LIMIT_BYTES} bytes")
    config = json.loads(data.decode("utf-8"), object_pairs_hook=unique_object)
    if not isinstance(config, dict):
        raise ValueError("not a JSON object")
    return config


def _tensor_findings(
    name: str, stats: TensorStats, base: BaseTensor | None, limits: CheckpointLimits
) -> Iterator[Rejection]:
    if not (math.isfinite(stats.max_abs) and math.isfinite(stats.norm)):
        yield Rejection("non_finite_weights", f"tensor {name!r} holds NaN or infinity")
        return
    if stats.max_abs > limits.max_abs:
        message = (
            f"tensor {name!r} has a weight of magnitude {stats.max_abs:.6g}; the limit is {limits.max_abs:g}"
        )
        yield Rejection("norm_out_of_bounds", message)
    # a tensor of zeros in the base gives no ratio; its magnitude is bounded all the same
    if base is None or base.norm == 0:
        return
    ratio = stats.norm / base.norm
    if not 1 / limits.norm_ratio <= ratio <= limits.norm_ratio:
        bounds = f"1/{limits.norm_ratio:g} to {limits.norm_ratio:g}"
        yield Rejection(
            "norm_out_of_bounds", f"tensor {name!r} has {ratio:.4g} times the base's norm, not {bounds}"
        )
