"""The commands `config`: what every setting is, and where its value came from.

The command lines of miner and validator share it. It only shows; secrets are masked, also inside URLs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import typer
from pydantic import SecretStr

from shared.console import (
    SETTING_OPTIONS,
    JsonOption,
    command,
    make_app,
    print_fields,
    print_json,
    with_settings,
)
from shared.settings import Settings, Source

MASK = "********"
PASSWORD = re.compile(r"(?<=://)([^/@\s]*?):[^/@\s]+(?=@)")
"""The password in `scheme://user:password@host`."""

config_app = make_app("config", "Show the settings in force and where each came from.")


@dataclass(frozen=True)
class ShownSetting:
    """One setting as it is shown."""

    value: Any
    """None when unset; paths as text, secrets masked."""
    source: Source
    variable: str
    """Environment variable that sets it; the key in agon.toml is the setting's name."""


@config_app.command()
@command
@with_settings(*SETTING_OPTIONS)
def show(settings: Settings, as_json: JsonOption = False) -> None:
    """Print every setting with its value and its source: flag, environment, file or default."""
    shown = show_settings(settings)
    if as_json:
        print_json(shown)
        return
    print_fields({name: f"{_text(one.value)}  ({one.source})" for name, one in shown.items()})


def show_settings(settings: Settings) -> dict[str, ShownSetting]:
    """Every setting by name, secrets masked."""
    sources = settings.sources()
    return {
        name: ShownSetting(_plain(getattr(settings, name)), sources[name], str(field.alias))
        for name, field in type(settings).model_fields.items()
    }


def mask_password(text: str) -> str:
    """`text` without the password of a URL in it."""
    return PASSWORD.sub(rf"\1:{MASK}", text)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, tuple):
        return [mask_password(str(item)) for item in value]
    return mask_password(str(value))


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def add_config(app: typer.Typer) -> None:
    """Give a command line its `config` group."""
    app.add_typer(config_app)
