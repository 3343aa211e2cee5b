"""Pages say what the code does: their Python blocks print exactly what they show."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(("page", "count"), [("incentive.md", 3), ("judging.md", 3)])
def test_every_printed_number_is_computed(page: str, count: int) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    examples = BLOCK.findall(text)
    assert len(examples) == text.count("```python") == count
    names: dict[str, object] = {}
    for code, shown in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue() == shown
