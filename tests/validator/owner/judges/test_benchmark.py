"""The judges' benchmark runs on tiny data, and every line it prints is computed from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.models.judges import human_pairs, labelled_answers
from shared.engines.tiny import build_tiny_trunk
from shared.judging.preferences.pairs import read_pairs
from validator.owner.judges.report import TrainingConfig

pytestmark = pytest.mark.torch


def test_tables_are_printed_for_pairs_and_solutions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"prompt": f"Why {index}?", "chosen": "so", "rejected": "no" + " no" * (index % 3)}
        for index in range(30)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks.jsonl").write_text(
        '{"ground_truth": "Sum\\nA: 1,200", "m": {"solution": "A: 7", "is_correct": false}}'
    )
    build_tiny_trunk(1, tmp_path / "trunk")
    config = TrainingConfig(epochs=1, max_tokens=16, head_only=True, holdout=0.5)
    report = human_pairs(read_pairs(tmp_path / "pairs.jsonl"), tmp_path / "trunk", config)
    labelled_answers(tmp_path / "tasks.jsonl", ["exact-answer-1", "exact-answer-2"])
    printed = capsys.readouterr().out
    assert f"| accuracy of the judge | {report.holdout.accuracy} |" in printed
    assert "| accuracy of `shorter wins` |" in printed
    assert "| `exact-answer-1` | 0 of 1 | 0 of 0 | 1 of 1 | no |" in printed
    assert "| `exact-answer-2` | 1 of 1 | 0 of 0 | 1 of 1 | yes |" in printed
