"""Families of judges: what a `kind` in the rules stands for, one file each.

A family is a module of this package. Its name with dashes is the kind; its `load(directory, params)` returns
a `Rewarder`, and imports what is heavy inside. A family that asks a server says `REMOTE = True`, is given the
server too, and runs in the parent, because the judging child has no network. Every other runs in the child.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pydantic import JsonValue, SecretStr

from shared.errors import AgonError
from shared.judging.judge import Rewarder

Params = Mapping[str, JsonValue]
"""`params` of a judge in the rules."""


@dataclass(frozen=True)
class Server:
    """Where a remote family asks: from the validator's settings, never from rules."""

    url: str
    """Address before `/chat/completions`, often ending in `/v1`."""
    key: SecretStr | None = None
    """Bearer token."""


@dataclass(frozen=True)
class Family:
    """One file of this package, imported when it is first needed."""

    kind: str

    @property
    def remote(self) -> bool:
        """Whether its judges ask a server."""
        return bool(getattr(self._module, "REMOTE", False))

    def load(self, directory: Path, params: Params, server: Server | None = None) -> Rewarder:
        """A judge of this family. Raises AgonError `judge_invalid`."""
        given = (directory, params, server) if self.remote else (directory, params)
        judge: Rewarder = self._module.load(*given)
        return judge

    @property
    def _module(self) -> ModuleType:
        return import_module(f"{__name__}.{self.kind.replace('-', '_')}")


FAMILIES: Mapping[str, Family] = {
    kind: Family(kind)
    for kind in sorted(part.name.replace("_", "-") for part in pkgutil.iter_modules(__path__))
}
"""Every family by its kind."""


def family_of(kind: str) -> Family:
    """The family called `kind`. Raises AgonError `judge_invalid` naming those that there are."""
    if kind not in FAMILIES:
        raise AgonError(
            "judge_invalid",
            f"no family of judges is called {kind!r}; there are {', '.join(FAMILIES)}",
            help="correct the judge's `kind` in the rules, or install the version of Agon that has it",
        )
    return FAMILIES[kind]


def load_family(kind: str, directory: Path, params: Params, server: Server | None = None) -> Rewarder:
    """A judge of the family called `kind`, from its directory. Raises AgonError `judge_invalid`."""
    return family_of(kind).load(directory, params, server)
