"""The judging page says what the code does: its Python blocks print exactly what it shows."""

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "judging.md"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def test_every_term_of_the_example_is_computed():
    text = PAGE.read_text(encoding="utf-8")
    examples = BLOCK.findall(text)
    assert len(examples) == text.count("```python") == 3
    names: dict[str, object] = {}
    for code, shown in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, PAGE.name, "exec"), names)
        assert printed.getvalue() == shown
