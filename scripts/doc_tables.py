"""The tables in the docs that are made from code: settings and error codes.

`python scripts/doc_tables.py` writes them between their markers in `docs/`; a test renders them again and
compares. Nothing else in a page is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from shared.errors import CODES, USAGE_CODES, Fault
from shared.protocol.api import Provable
from shared.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
REGION = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings_table() -> str:
    """Every setting with its environment variable, default and meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        empty = field.default is None or field.default == ()
        default = "" if empty else f"`{field.default}`"
        rows.append((f"`{name}`", f"`{field.alias}`", default, field.description or ""))
    return _table(("key in agon.toml", "variable", "default", "meaning"), rows)


def miner_codes() -> str:
    """Codes of refused submissions: the miner has to act."""
    return _codes(("code", "what to do"), Fault.MINER)


def user_codes() -> str:
    """Codes of commands that were called wrongly or lack something."""
    rows = [
        (f"`{code}`", str(2 if code in USAGE_CODES else 1), info.help)
        for code, info in CODES.items()
        if info.fault is Fault.USER
    ]
    return _table(("code", "exit code", "what to do"), rows)


def validator_codes() -> str:
    """Codes that the operator of a validator has to act on."""
    return _codes(("code", "what to do"), Fault.VALIDATOR)


def network_codes() -> str:
    """Codes of trouble outside, which is waited for."""
    return _codes(("code", "what to do"), Fault.NETWORK)


def provable_fields() -> str:
    """What `competition show` prints about the numbers of the rules."""
    fields = Provable.model_fields.items()
    described = [(f"`{name}`", field.description) for name, field in fields if field.description]
    return _table(("field", "meaning"), described)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "miner-codes": miner_codes,
    "user-codes": user_codes,
    "validator-codes": validator_codes,
    "network-codes": network_codes,
    "provable": provable_fields,
}


def render(page: str) -> str:
    """The page with every table between markers made anew. Raises KeyError for an unknown name."""
    return REGION.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}{found[3]}", page)


def _codes(head: tuple[str, str], fault: Fault) -> str:
    return _table(head, [(f"`{code}`", info.help) for code, info in CODES.items() if info.fault is fault])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
