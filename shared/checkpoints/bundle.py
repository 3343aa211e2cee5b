"""A competition's bundle: the directory that holds everything its rules name by digest.

Owners build it, validators load all of it, miners load a public copy without held-out judges and
pools. Loading verifies every digest against the rules, so a damaged or swapped file can never score.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from pydantic import ValidationError

from shared.checkpoints.files import write_whole
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.tensors import BaseTable, architecture_digest, table_of
from shared.errors import AgonError, Rejection
from shared.protocol.competition import Competition, Pool, Slice
from shared.protocol.loader import field_errors
from shared.protocol.prompt import Prompt, pool_root
from shared.protocol.reference import Reference
from shared.protocol.wire import Wire, canonical_json, digest_of
from shared.types import Digest, JudgeName, SliceName

RULES_FILE = "competition.json"
TABLE_FILE = "base_table.json"
NORM_TOLERANCE = 1e-6
"""Relative: two builds of numpy may add the same squares in another order."""

WireT = TypeVar("WireT", bound=Wire)


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle, verified against its rules."""

    rules: Competition
    root: Path
    pools: dict[SliceName, tuple[Prompt, ...]]
    """Held-out prompts by slice; empty in a public copy."""
    references: dict[SliceName, Reference]
    """Empty in a public copy."""
    judges: dict[JudgeName, Path]
    """Directories of the held-out judges; empty in a public copy."""
    base: Path
    """Directory of the base model with its tokenizer and configuration."""
    base_table: BaseTable

    @property
    def public(self) -> Path:
        """Directory of what miners train with: `prompts.jsonl` and `proxy/`."""
        return self.root / "public"


def load_bundle(root: Path, *, public: bool = False, require_judges: bool = True) -> Bundle:
    """Load and verify the bundle below `root`.

    `public` loads a miner's copy: rules, base and public part. Without `require_judges` a judge that
    has not been handed out yet may be absent. Raises AgonError `bundle_damaged` naming the file, or
    `competition_invalid` when the rules themselves do not hold.
    """
    rules = _read_wire(root / RULES_FILE, Competition)
    pools: dict[SliceName, tuple[Prompt, ...]] = {}
    references: dict[SliceName, Reference] = {}
    judges: dict[JudgeName, Path] = {}
    if not public:
        pools = {part.name: _load_pool(root, part) for part in rules.slices}
        references = {part.name: _load_reference(root, part) for part in rules.slices}
        judges = _load_judges(root, rules, require=require_judges)
    base = _checked_directory(root / "base", rules.base.digest)
    table = _load_table(root, rules)
    return Bundle(rules, root, pools, references, judges, base, table)


def write_rules(root: Path, rules: Competition) -> None:
    """Write the rules; the last file of a bundle, since its digests vouch for the others."""
    write_whole(root / RULES_FILE, canonical_json(rules))


def write_pool(root: Path, name: SliceName, prompts: Iterable[Prompt]) -> Pool:
    """Write a slice's held-out prompts in their order and return what the rules say about them."""
    ordered = tuple(prompts)
    write_whole(_pool_path(root, name), b"".join(canonical_json(prompt) + b"\n" for prompt in ordered))
    clusters = len({prompt.cluster for prompt in ordered})
    return Pool(root=pool_root(ordered), size=len(ordered), clusters=clusters)


def write_reference(root: Path, reference: Reference) -> Digest:
    """Write a slice's reference statistics and return their digest."""
    write_whole(_reference_path(root, reference.slice), canonical_json(reference))
    return digest_of(reference)


def write_base_table(root: Path) -> Digest:
    """Measure the base below `root`, write its table and return the digest for `architecture.table`."""
    table = table_of(root / "base")
    write_whole(root / TABLE_FILE, canonical_json(table))
    return architecture_digest(table)


def write_public_copy(root: Path, target: Path) -> None:
    """Copy to `target` what miners may see: base, table, public part and, last, the rules."""
    for name in ("base", "public"):
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, dirs_exist_ok=True)
    for name in (TABLE_FILE, RULES_FILE):
        write_whole(target / name, (root / name).read_bytes())


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of a `.jsonl` file. Raises AgonError `bundle_damaged` naming file and line."""
    prompts = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        try:
            prompts.append(Prompt.model_validate_json(line))
        except ValidationError as error:
            _damaged(path, f"line {number}: {field_errors(error)}")
    return tuple(prompts)


def _pool_path(root: Path, name: SliceName) -> Path:
    return root / "pools" / f"{name}.jsonl"


def _reference_path(root: Path, name: SliceName) -> Path:
    return root / "references" / f"{name}.json"


def _load_pool(root: Path, part: Slice) -> tuple[Prompt, ...]:
    path = _pool_path(root, part.name)
    prompts = read_prompts(path)
    if pool_root(prompts) != part.pool.root:
        _damaged(path, "its root is not the one in the rules")
    if len({prompt.id for prompt in prompts}) != len(prompts):
        _damaged(path, "a prompt identifier occurs twice")
    if any(prompt.slice != part.name for prompt in prompts):
        _damaged(path, "a prompt belongs to another slice")
    return prompts


def _load_reference(root: Path, part: Slice) -> Reference:
    path = _reference_path(root, part.name)
    reference = _read_wire(path, Reference)
    if digest_of(reference) != part.reference or reference.slice != part.name:
        _damaged(path, "it is not the one that the rules name")
    return reference


def _load_judges(root: Path, rules: Competition, *, require: bool) -> dict[JudgeName, Path]:
    paths = {judge.name: root / "judges" / judge.name for judge in rules.judges}
    return {
        judge.name: _checked_directory(paths[judge.name], judge.digest)
        for judge in rules.judges
        if require or paths[judge.name].is_dir()
    }


def _load_table(root: Path, rules: Competition) -> BaseTable:
    """The base's table, held against the base itself: its norms have no digest in the rules."""
    path = root / TABLE_FILE
    table = _read_wire(path, BaseTable)
    if architecture_digest(table) != rules.architecture.table:
        _damaged(path, "it is not the one that the rules name")
    try:
        measured = table_of(root / "base").tensors
    except Rejection as error:
        _damaged(root / "base", error.message)
    if table.tensors.keys() != measured.keys():
        _damaged(root / "base", "its tensors are not those of the table")
    for name, row in table.tensors.items():
        if not math.isclose(row.norm, measured[name].norm, rel_tol=NORM_TOLERANCE):
            _damaged(path, f"the norm of {name!r} is not the base's")
    return table


def _checked_directory(path: Path, expected: Digest) -> Path:
    try:
        digest = build_manifest(path).digest
    except (OSError, Rejection) as error:
        _damaged(path, str(error))
    if digest != expected:
        _damaged(path, "its files are not those that the rules name")
    return path


def _read_wire(path: Path, kind: type[WireT]) -> WireT:
    try:
        return kind.model_validate_json(_read(path))
    except ValidationError as error:
        _damaged(path, field_errors(error))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        _damaged(path, error.strerror or str(error))


def _damaged(path: Path, reason: str) -> NoReturn:
    raise AgonError("bundle_damaged", f"{path}: {reason}")
