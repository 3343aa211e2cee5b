"""The settings of recipes: one pydantic model each, on one common base, read from a file and from flags.

A file is TOML with the model's field names; a flag is the same name with dashes. What was used is printed
and kept beside the checkpoint, and `--resume` compares it field by field. Nothing heavy is imported here.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import AgonError
from shared.protocol.loader import field_errors


class TrainConfig(BaseModel):
    """What every recipe may be told; the defaults suit a 135M policy on two CPU cores."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    epochs: int = Field(default=1, ge=1)
    """Passes over the data."""
    batch: int = Field(default=8, ge=1)
    """Rows (pairs, completions) per device and forward pass."""
    accumulate: int = Field(default=1, ge=1)
    """Forward passes per optimiser step."""
    learning_rate: float = Field(default=1e-4, gt=0, lt=1)
    """Peak of the cosine schedule."""
    warmup_steps: int = Field(default=2, ge=0)
    """Optimiser steps of linear warm-up."""
    lora_rank: int = Field(default=16, ge=0)
    """Rank of the LoRA adapter, merged at the end; 0 trains every weight."""
    save_steps: int = Field(default=20, ge=1)
    """Optimiser steps between two checkpoints that `--resume` can go on from."""
    held_out: int = Field(default=0, ge=0)
    """Public prompts kept from training, to measure the objective before and after."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's own choice when unset."""
    seed: int = Field(default=0, ge=0)
    """Fixes data order, adapters and samples."""


ConfigT = TypeVar("ConfigT", bound=TrainConfig)


def read_config(kind: type[ConfigT], file: Path | None, flags: Sequence[str]) -> ConfigT:
    """Settings from a TOML file and from flags such as `--learning-rate 1e-4`; flags win.

    Raises AgonError `settings_invalid` naming the field, `usage` for flags that are no pairs.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise AgonError("settings_invalid", f"cannot read {file}: {error}") from error
    for path, value in _pairs(flags):
        *parents, name = path
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise AgonError("settings_invalid", f"{parent} is a value, not a section")
        place[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise AgonError(
            "settings_invalid",
            f"{kind.__name__}: {field_errors(error)}",
            help="list the recipe's settings with `agon-miner train --recipe NAME --settings`",
        ) from error


def _pairs(flags: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """(`["grpo", "learning_rate"]`, `"1e-4"`) for `--grpo.learning-rate 1e-4` or with `=`."""
    rest = list(flags)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or len(name) < 3:
            raise AgonError("usage", f"{name!r} is not a setting of the form --name value")
        if not equals:
            if not rest:
                raise AgonError("usage", f"{name} has no value")
            value = rest.pop(0)
        yield name[2:].replace("-", "_").split("."), value


def to_toml(config: TrainConfig) -> str:
    """The settings as TOML that `read_config` reads; unset ones are left out, sections come last."""
    return "\n".join(_lines(config.model_dump(mode="json"), ())) + "\n"


def _lines(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {name: value for name, value in values.items() if value is not None}
    for name, value in plain.items():
        if not isinstance(value, dict):
            # JSON spells strings, numbers, booleans and lists of them as TOML does
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"
    for name, value in plain.items():
        if isinstance(value, dict):
            yield f"\n[{'.'.join((*path, name))}]"
            yield from _lines(value, (*path, name))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One sentence for every dotted name whose value is not the same in both."""
    before, after = flatten(old), flatten(new)
    names = sorted(before.keys() | after.keys())
    return [
        f"{name} was {before.get(name)} and is {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def described(kind: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Flag to default and meaning, for people."""
    rows: dict[str, str] = {}
    for name, info in kind.model_fields.items():
        inner = info.annotation
        flag = prefix + name.replace("_", "-")
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows |= described(inner, f"{flag}.")
        else:
            default = "required" if info.is_required() else f"[{info.get_default(call_default_factory=True)}]"
            rows[f"--{flag}"] = f"{' '.join((info.description or '').split())} {default}"
    return rows
