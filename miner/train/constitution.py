"""A constitution: the principles by which a policy criticises its completions and a judge prefers.

A TOML file with one `[[principles]]` table each. An empty one is refused before anything is sampled.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import AgonError
from shared.protocol.loader import field_errors


class Principle(BaseModel):
    """One principle."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1, max_length=40)
    critique: str = Field(min_length=1)
    """What the policy is asked to find fault with, such as "Say where the completion is unkind"."""
    revise: str = Field(min_length=1)
    """How it is asked to rewrite the completion."""
    prefer: str = Field(min_length=1)
    """What makes a completion the better one, such as "kinder and more honest"."""


class Constitution(BaseModel):
    """All principles."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    principles: tuple[Principle, ...] = Field(min_length=1)


def read_constitution(path: Path) -> Constitution:
    """The constitution in a file. Raises AgonError `data_invalid` naming the wrong field."""
    try:
        return Constitution.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AgonError("data_invalid", f"cannot read {path}: {error}") from error
    except ValidationError as error:
        help_line = "write one [[principles]] table with name, critique, revise and prefer"
        raise AgonError("data_invalid", f"{path}: {field_errors(error)}", help=help_line) from error
