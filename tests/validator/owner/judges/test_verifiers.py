"""Verifiers are held to gold answers before they are used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AgonError
from shared.judging.verifiers import VERIFIERS
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName
from validator.owner.judges.verifiers import (
    Tally,
    VerifierReport,
    check_prompts,
    read_tasks,
    validate_verifier,
)


def prompt(params: dict[str, Any]) -> Prompt:
    return Prompt(id=PromptId("p-1"), slice=SliceName("maths"), cluster="c", text="How many?", params=params)


def task(answer: str, gold: str, *solutions: tuple[str, bool]) -> str:
    marked = [{"text": text, "is_correct": right} for text, right in solutions]
    return json.dumps({"params": {"answer": answer}, "gold": gold, "solutions": marked})


OLD = {"words": 12, "topic": "owl", "answer": "7", "keys": "a, b"}
CHOICE = {"options": ["fish", "bird", "tool"], "answer": "bird", "subject": "owl"}
LIMITS = {"constraints": [{"kind": "word-count", "relation": "at most", "count": 9}, {"kind": "no-commas"}]}
SOUND: dict[str, list[dict[str, Any]]] = {
    **{name: [OLD] for name in ("word-limit-1", "word-limit-2", "exact-answer-1", "format-json-1")},
    "exact-answer-2": [OLD, {"answer": "1,450,000"}, {"answer": "Paris"}],
    "exact-answer-3": [{"answer": text} for text in ("7", "-1/2", ".5", "1e3", "1,450,000", "$12", "Paris")],
    "choice-1": [CHOICE, {"options": ["Monday", "Friday"], "answer": "Friday"}],
    "constraints-1": [LIMITS, {**LIMITS, "topic": "owl", "all": True}],
}


def test_every_verifier_has_examples_and_passes_them() -> None:
    assert SOUND.keys() == VERIFIERS.keys()
    for name, listed in SOUND.items():
        assert all(VERIFIERS[name].examples(params) for params in listed)
        check_prompts(name, [prompt(params) for params in listed])


def test_a_prompt_that_no_answer_can_satisfy_is_named() -> None:
    with pytest.raises(AgonError, match="p-1") as caught:
        check_prompts("exact-answer-1", [prompt({"answer": "12"}), prompt({"answer": "65,960"})])
    assert caught.value.code == "verifier_invalid"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("exact-answer-1", {}, "prompt p-1: .*'answer'"),
        ("exact-answer-2", {"answer": ["7"]}, "prompt p-1: .*whole number"),
        ("exact-answer-3", {"answer": " "}, "prompt p-1: .*nothing"),
        ("word-limit-1", {"words": 0}, "prompt p-1: .*positive"),
        ("word-limit-2", {"words": 9, "topic": "barn owl"}, "prompt p-1: .*not one word"),
        ("format-json-1", {"keys": ["a"]}, "prompt p-1: .*commas"),
        ("choice-1", {**CHOICE, "answer": "stone"}, "prompt p-1: .*'stone' is none of its options"),
        ("constraints-1", {"constraints": [{"kind": "rhyme"}]}, "prompt p-1: .*'rhyme'"),
        ("no-such-1", {}, "no verifier"),
    ],
)
def test_a_prompt_without_sound_parameters_is_refused_by_name(
    name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(AgonError, match=message) as caught:
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
        '{"gold": "7", "params": 7}',
        '{"gold": "7", "params": {}, "solutions": 3}',
        '{"gold": "7", "params": {}, "solutions": [{"text": "7"}]}',
        '{"ground_truth": 7}',
    ],
)
def test_a_malformed_task_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "t.jsonl").write_text("\n" + line)
    with pytest.raises(AgonError, match="line 2: "):
        read_tasks(tmp_path / "t.jsonl")


def test_a_task_with_parameters_that_make_no_sense_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"gold": "7", "params": {"answer": 1.5}}')
    with pytest.raises(AgonError, match=r"line 1: .*whole number") as caught:
        validate_verifier("exact-answer-3", read_tasks(tmp_path / "t.jsonl"))
    assert caught.value.code == "competition_invalid"


def test_labelled_sentences_hold_a_choice_to_account(tmp_path: Path) -> None:
    solutions = [("Owls are birds.", True), ("An owl is a fish.", False), ("An owl may be a bird.", False)]
    row = {
        "params": CHOICE,
        "gold": "An owl is a bird.",
        "solutions": [{"text": text, "is_correct": right} for text, right in solutions],
    }
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    report = validate_verifier("choice-1", read_tasks(tmp_path / "t.jsonl"))
    assert (report.sound, report.correct, report.wrong) == (
        True,
        Tally(answers=1, right=1),
        Tally(answers=2, right=2),
    )


def test_published_solutions_tell_the_sound_verifier_from_the_other() -> None:
    folder = os.environ.get("AGON_TEST_DATA")
    path = Path(folder or ".") / "gsm8k-model-solutions.jsonl.gz"
    if folder is None or not path.is_file():
        pytest.skip("AGON_TEST_DATA does not name a directory with gsm8k-model-solutions.jsonl.gz")
    tasks = read_tasks(path)
    first = validate_verifier("exact-answer-1", tasks)
    assert first.gold == Tally(answers=900, right=889)
    for name in ("exact-answer-2", "exact-answer-3"):
        report = validate_verifier(name, tasks)
        assert (report.sound, report.gold, report.correct, report.wrong) == (
            True,
            Tally(answers=900, right=900),
            Tally(answers=1386, right=1386),
            Tally(answers=2214, right=2214),
        )
