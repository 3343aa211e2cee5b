"""Loading of competition rules from TOML or canonical JSON, with errors that name the field.

Owners write TOML; everybody else reads the canonical JSON that its digest stands for. The examples in
`shared/competitions/` hold the rules that need no measured digests.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.errors import AgonError
from shared.protocol.competition import Competition


def load_competition(path: Path) -> Competition:
    """The rules at `path` (.toml or .json). Raises AgonError `competition_invalid`, naming each field."""
    return parse_competition(read_rules(path), source=path.name)


def read_rules(path: Path) -> dict[str, Any]:
    """The plain document at `path`, not validated."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise AgonError("competition_invalid", f"cannot read {path}: {error}") from error
    if not isinstance(document, dict):
        raise AgonError("competition_invalid", f"{path} does not hold a table of rules")
    return document


def parse_competition(document: dict[str, Any], *, source: str) -> Competition:
    """Validated rules. Raises AgonError `competition_invalid` listing every wrong field at once."""
    try:
        return Competition.model_validate(document)
    except ValidationError as error:
        raise AgonError("competition_invalid", f"{source}: {field_errors(error)}") from error


def field_errors(error: ValidationError) -> str:
    """One `field: reason` per wrong field, joined by semicolons."""
    parts = []
    for item in error.errors(include_url=False):
        place = ".".join(str(step) for step in item["loc"]) or "document"
        parts.append(f"{place}: {item['msg']}")
    return "; ".join(parts)
