"""The judging page shows what the stored run of the over-optimisation benchmark prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.optimised import restore
from benchmarks.overoptimisation import RULES, show
from shared.competition import read_rules

DOCS = Path(__file__).parents[2] / "docs"
MARK = "<!-- printed by: benchmarks/overoptimisation.py --from docs/figures/{} -->\n\n"


@pytest.mark.parametrize("name", ["overoptimisation.json", "overoptimisation-135m.json"])
def test_the_tables_are_those_of_the_stored_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, rest = (DOCS / "judging.md").read_text(encoding="utf-8").partition(MARK.format(name))
    shown, _, _ = rest.partition("\n\n<!-- end -->")
    kl_budget = read_rules(RULES)["judging"]["kl_budget"]
    show(restore(DOCS / "figures" / name), kl_budget, figure=None)
    assert capsys.readouterr().out.strip().replace("\n## ", "\n### ") == shown.replace("### ", "## ", 1)
