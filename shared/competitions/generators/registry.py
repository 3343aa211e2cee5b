"""The generators by name. A file of this folder that has `build` is one; nothing else lists them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from shared.competitions import generators as package
from shared.competitions.generators.generator import Generator
from shared.errors import AgonError


@cache
def load_generators() -> Mapping[str, Generator]:
    """Name to generator, sorted by name. Raises ValueError when two have one name."""
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
    modules = [import_module(f"{package.__name__}.{name}") for name in names]
    built: list[Generator] = [module.build() for module in modules if hasattr(module, "build")]
    found = {generator.name: generator for generator in sorted(built, key=lambda each: each.name)}
    if len(found) != len(built):
        raise ValueError("two generators have the same name")
    return found


def find_generator(name: str) -> Generator:
    """The generator of that name. Raises AgonError `competition_invalid` for an unknown one."""
    if name not in load_generators():
        known = ", ".join(load_generators())
        raise AgonError("competition_invalid", f"no generator is called {name!r}; known: {known}")
    return load_generators()[name]
