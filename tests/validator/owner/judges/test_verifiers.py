"""Verifiers are held to gold answers before they are used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shared.errors import AgonError
from shared.judging.verifiers import VERIFIERS
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName
from validator.owner.judges.verifiers import (
    EXAMPLES,
    Tally,
    VerifierReport,
    check_prompts,
    read_tasks,
    validate_verifier,
)


def prompt(params: dict[str, int | str]) -> Prompt:
    return Prompt(id=PromptId("p-1"), slice=SliceName("maths"), cluster="c", text="How many?", params=params)


def task(answer: str, gold: str, *solutions: tuple[str, bool]) -> str:
    marked = [{"text": text, "is_correct": right} for text, right in solutions]
    return json.dumps({"params": {"answer": answer}, "gold": gold, "solutions": marked})


def test_every_verifier_has_examples_and_passes_them() -> None:
    params: dict[str, int | str] = {"words": 12, "topic": "owl", "answer": "7", "keys": "a, b"}
    assert EXAMPLES.keys() == VERIFIERS.keys()
    for name in VERIFIERS:
        check_prompts(name, [prompt(params)])
    check_prompts("exact-answer-2", [prompt({"answer": "1,450,000"}), prompt({"answer": "Paris"})])


def test_a_prompt_that_no_answer_can_satisfy_is_named() -> None:
    with pytest.raises(AgonError, match="p-1") as caught:
        check_prompts("exact-answer-1", [prompt({"answer": "12"}), prompt({"answer": "65,960"})])
    assert caught.value.code == "verifier_invalid"


@pytest.mark.parametrize(
    ("name", "params"), [("exact-answer-1", {}), ("word-limit-1", {"words": 0}), ("no-such-1", {})]
)
def test_a_prompt_without_its_parameters_is_refused(name: str, params: dict[str, int | str]) -> None:
    with pytest.raises(AgonError) as caught:
        check_prompts(name, [prompt(params)])
    assert caught.value.code == "competition_invalid"


def test_labelled_answers_are_counted_and_the_first_failure_named(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    lines = [
        task("7", "It is 7.", ("7", True), ("8", False)),
        "",
        task("65,960", "A: 65,960", ("A: 65960", True), ("No: 65,960. Or 3", False)),
    ]
    path.write_text("\n".join(lines))
    report = validate_verifier("exact-answer-1", read_tasks(path))
    assert report == VerifierReport(
        verifier="exact-answer-1",
        gold=Tally(answers=2, right=1),
        correct=Tally(answers=2, right=1),
        wrong=Tally(answers=2, right=2),
        failures=(f"{path}, line 3: a gold answer scores 0: 'A: 65,960'",),
    )
    with pytest.raises(AgonError, match="line 3") as caught:
        report.require_sound()
    assert caught.value.code == "verifier_invalid"
    validate_verifier("exact-answer-2", read_tasks(path)).require_sound()


def test_a_verifier_that_passes_a_wrong_answer_is_not_sound(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(task("7", "7", ("I guess 7", False)))
    report = validate_verifier("exact-answer-2", read_tasks(tmp_path / "t.jsonl"))
    assert (report.sound, report.wrong) == (False, Tally(answers=1, right=0))


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        '{"gold": "7"}',
        '{"gold": "7", "params": {"answer": 1.5}}',
        '{"gold": "7", "params": {}, "solutions": 3}',
        '{"gold": "7", "params": {}, "solutions": [{"text": "7"}]}',
        '{"ground_truth": 7}',
    ],
)
def test_a_malformed_task_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "t.jsonl").write_text("\n" + line)
    with pytest.raises(AgonError, match="line 2: "):
        read_tasks(tmp_path / "t.jsonl")


def test_published_solutions_tell_the_sound_verifier_from_the_other() -> None:
    folder = os.environ.get("AGON_TEST_DATA")
    path = Path(folder or ".") / "gsm8k-model-solutions.jsonl.gz"
    if folder is None or not path.is_file():
        pytest.skip("AGON_TEST_DATA does not name a directory with gsm8k-model-solutions.jsonl.gz")
    tasks = read_tasks(path)
    first, second = (validate_verifier(name, tasks) for name in ("exact-answer-1", "exact-answer-2"))
    assert first.gold == Tally(answers=900, right=889)
    assert (second.sound, second.gold, second.correct, second.wrong) == (
        True,
        Tally(answers=900, right=900),
        Tally(answers=1386, right=1386),
        Tally(answers=2214, right=2214),
    )
