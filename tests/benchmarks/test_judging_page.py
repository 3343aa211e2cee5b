"""The page of judging tables shows what the stored runs of the over-optimisation benchmark print."""

from __future__ import annotations

import pytest

from benchmarks.report import PAGES, REGION, ROOT, printed

STORED = {
    found["command"]: found["tables"]
    for found in REGION.finditer((PAGES / "results" / "judging.md").read_text(encoding="utf-8"))
    if " --from " in found["command"]
}


def test_two_runs_are_stored() -> None:
    assert len(STORED) == 2


@pytest.mark.parametrize("command", STORED)
def test_the_tables_are_those_of_the_stored_run(command: str) -> None:
    script, *arguments = command.split()
    assert STORED[command] == f"{printed(ROOT / script, *arguments)}\n"
