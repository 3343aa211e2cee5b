"""Tables that are made from code say what the code says."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from shared.errors import CODES
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "doc_tables.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_generated_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert SCRIPT["render"](text) == text, "run `python scripts/doc_tables.py`"


def test_every_table_and_every_code_is_on_some_page() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(SCRIPT["TABLES"]) == {found["name"] for found in SCRIPT["REGION"].finditer(text)}
    assert [code for code in CODES if f"| `{code}` |" not in text] == []


def test_the_example_of_a_settings_file_is_up_to_date_and_every_line_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "agon.toml.example").read_text(encoding="utf-8")
    assert SCRIPT["settings_example"]() == text, "run `python scripts/doc_tables.py`"
    assert tomllib.loads(text) == {}
    lines = [line.removeprefix("# ") for line in text.splitlines() if re.match(r"# [a-z_0-9]+ = ", line)]
    (tmp_path / "agon.toml").write_text("\n".join(lines))
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.setenv("AGON_CONFIG", str(tmp_path / "agon.toml"))
    sources = Settings.load().sources()
    assert {name for name, source in sources.items() if source != "file"} == {"rank", "world_size"}
