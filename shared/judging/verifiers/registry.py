"""The verifiers by name. A module of this folder with a `VERIFIER` is one; nothing else lists them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from shared.errors import AgonError
from shared.judging.verifiers.verifier import Params, Verifier

PACKAGE = "shared.judging.verifiers"
_THIS = "registry"


def _load() -> Mapping[str, Verifier]:
    names = sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [import_module(f"{PACKAGE}.{name}") for name in names if name != _THIS]
    found: list[Verifier] = [module.VERIFIER for module in modules if hasattr(module, "VERIFIER")]
    by_name = {verifier.name: verifier for verifier in sorted(found, key=lambda each: each.name)}
    if len(by_name) != len(found):
        raise ValueError("two verifiers have the same name")
    return by_name


VERIFIERS: Mapping[str, Verifier] = _load()
"""Name to verifier, sorted by name."""


def find_verifier(name: str) -> Verifier:
    """The verifier of that name. Raises AgonError `competition_invalid` for an unknown one."""
    if name not in VERIFIERS:
        raise AgonError("competition_invalid", f"no verifier is called {name!r}; known: {sorted(VERIFIERS)}")
    return VERIFIERS[name]


def verify(name: str, text: str, params: Params) -> float:
    """Score of `text` under verifier `name`. Raises AgonError `competition_invalid` for an unknown name or
    for parameters that the verifier cannot use."""
    return find_verifier(name).score(text, params)
