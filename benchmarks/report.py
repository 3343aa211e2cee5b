"""Writes what benchmarks print into the pages below docs/, between their markers.

`python benchmarks/report.py [NAME ...]` runs the named benchmarks, or all that a page has a marker for,
with the arguments of the marker. Nothing else in a page is touched.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs"
REGION = re.compile(
    r"<!-- printed by: (?P<command>benchmarks/[\w/]+\.py[^>\n]*?) -->\n(?P<tables>.*?)<!-- end -->", re.DOTALL
)


def printed(script: Path, *arguments: str) -> str:
    """What a benchmark prints, its tables as third-level sections."""
    output, before = io.StringIO(), sys.argv
    sys.argv = [str(script), *arguments]
    try:
        with contextlib.redirect_stdout(output), contextlib.chdir(ROOT):
            runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before
    return output.getvalue().replace("\n## ", "\n### ")


def replaced(page: str, command: str, tables: str) -> str:
    """The page with other tables between the markers of one command."""
    text = f"<!-- printed by: {command} -->\n{tables}\n<!-- end -->"
    return REGION.sub(lambda old: text if old["command"] == command else old[0], page)


def main() -> None:
    """Run the benchmarks and rewrite their page after each."""
    wanted = set(sys.argv[1:])
    for page in sorted(PAGES.rglob("*.md")):
        for found in REGION.finditer(page.read_text(encoding="utf-8")):
            if not wanted or Path(found["command"].split()[0]).stem in wanted:
                _rewrite(page, found["command"])


def _rewrite(page: Path, command: str) -> None:
    script, *arguments = command.split()
    tables = printed(ROOT / script, *arguments)
    scratch = page.with_suffix(".new")
    scratch.write_text(replaced(page.read_text(encoding="utf-8"), command, tables), encoding="utf-8")
    scratch.rename(page)


if __name__ == "__main__":
    main()
