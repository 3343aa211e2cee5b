"""The commands in the pages work: `sh` blocks are run as they stand, all others are parsed as they stand.

A block marked `sh` is run, page by page, in one directory with an embedded chain. Long runs, real networks
and service files are in blocks of other kinds; their commands must still be ones that the command lines
take.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import localnet.cli
import miner.cli.main
import validator.cli.main
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s/\"'])(agon-(?:miner|validator|localnet))((?:\s[^\n#|`;&\"]*)?)")
INLINE = re.compile(r"`(agon-(?:miner|validator|localnet)\b[^`\n]*)`")
APPS = {
    "agon-miner": typer.main.get_command(miner.cli.main.app),
    "agon-validator": typer.main.get_command(validator.cli.main.app),
    "agon-localnet": typer.main.get_command(localnet.cli.app),
}


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _blocks(page: Path, kind: str | None = None) -> list[str]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for language, text in found if kind in {None, language}]


def _commands() -> list[Any]:
    return [
        pytest.param(name, rest, id=f"{_name(page)}: {name}{rest}"[:120])
        for page in PAGES
        for block in _blocks(page)
        if "│" not in block
        for name, rest in COMMAND.findall(block.replace("\\\n", " "))
    ]


def _scripts() -> list[Any]:
    scripts = {_name(page): "".join(_blocks(page, "sh")) for page in PAGES}
    return [pytest.param(script, id=name) for name, script in scripts.items() if script]


@pytest.mark.parametrize(("name", "rest"), _commands())
def test_every_command_is_one_that_is_taken(name: str, rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGON_API", "http://127.0.0.1:8091")
    command, words = _resolve(name, rest)
    if words or not hasattr(command, "commands"):
        command.make_context(name, words)  # raises a usage error for anything that it does not take


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_in_running_text_exist_with_their_flags(page: Path) -> None:
    for text in INLINE.findall(page.read_text(encoding="utf-8")):
        name, _, rest = text.partition(" ")
        command, words = _resolve(name, rest)
        flags = {flag for option in command.params for flag in option.opts} | {"--help"}
        assert not words or not hasattr(command, "commands"), text
        assert {word for word in words if word.startswith("-")} <= flags, text


def _resolve(name: str, rest: str) -> tuple[Any, list[str]]:
    """The command that a line calls, and the words handed to it."""
    command, words = APPS[name], shlex.split(rest)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("script", _scripts())
def test_runnable_blocks_run(script: str, workplace: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGON_", "BT_"))}
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=workplace,
        env={**kept, "PATH": path, "HOME": str(workplace / "home")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_settings_files_in_the_pages_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AGON_", "BT_"))]:
        monkeypatch.delenv(name)
    for block in (block for page in PAGES for block in _blocks(page, "toml")):
        (tmp_path / "agon.toml").write_text(block)
        monkeypatch.setenv("AGON_CONFIG", str(tmp_path / "agon.toml"))
        read = Settings.load()
        sources = read.sources()
        assert {name for name, source in sources.items() if source == "file"} == set(tomllib.loads(block))
