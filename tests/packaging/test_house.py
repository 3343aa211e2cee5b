"""The house rules that a machine can hold: short files, short functions, promises on top, no leftovers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("miner", "validator", "shared", "localnet")
PRODUCT = (*PACKAGES, "scripts", "benchmarks")
CODE = (*PRODUCT, "tests")
MIGRATIONS = ROOT / "validator" / "ledger" / "migrations"
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
FORBIDDEN_MODULES = {"utils", "util", "helpers", "misc", "common"}
FORBIDDEN_WORDS = re.compile(r"\b(TODO|FIXME|XXX)\b|/wor[k]/|\bstubs?\b")
THIS_FILE = Path(__file__).resolve()


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _texts() -> list[Path]:
    """Everything that people read: code, documents, rules and build files."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    data = [
        path for folder in PACKAGES for kind in ("*.toml", "*.mako") for path in (ROOT / folder).rglob(kind)
    ]
    return sorted(path for path in (*_modules(*CODE), *pages, *data) if path.resolve() != THIS_FILE)


def test_there_is_something_to_check() -> None:
    assert all(_modules(package) for package in PACKAGES)


def test_files_are_short() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _modules(*PRODUCT)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        f"{_name(path)}:{function.name}": lines
        for path in _modules(*PRODUCT)
        if MIGRATIONS not in path.parents  # a migration is one list of tables, read from top to bottom
        for function in _functions(ast.parse(path.read_text(encoding="utf-8")))
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_every_module_opens_with_its_promise() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _modules(*PACKAGES)}
    silent = [_name(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_no_module_is_a_drawer() -> None:
    drawers = [_name(path) for path in _modules(*CODE) if {path.stem, path.parent.name} & FORBIDDEN_MODULES]
    assert drawers == []


def test_nothing_is_left_over() -> None:
    found = [
        f"{_name(path)}:{number}: {line.strip()}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if FORBIDDEN_WORDS.search(line)
    ]
    assert found == []
