"""Tables that are made from code say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from shared.errors import CODES

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "doc_tables.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert SCRIPT["render"](text) == text, "run `python scripts/doc_tables.py`"


def test_every_table_and_every_code_is_on_some_page() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(SCRIPT["TABLES"]) == {found["name"] for found in SCRIPT["REGION"].finditer(text)}
    assert [code for code in CODES if f"| `{code}` |" not in text] == []
