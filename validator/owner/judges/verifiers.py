"""Verifiers held to answers that are known to be right or wrong, before a competition uses them.

The build makes such answers from every prompt's own parameters; `agon-validator judge validate-verifier`
takes solutions that people labelled. A verifier that fails its own gold answer would call every policy wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.errors import AgonError
from shared.judging.preferences.pairs import Line, read_lines
from shared.judging.verifiers import Params, find_verifier
from shared.protocol.prompt import Prompt

SHOWN = 3
"""Failures that a report names."""


@dataclass(frozen=True)
class Task:
    """A question with a gold answer and solutions that people marked."""

    place: str
    """File and line, for messages."""
    params: Params
    gold: str
    solutions: tuple[tuple[str, bool], ...]
    """Texts and whether they are right."""


class Tally(BaseModel, frozen=True):
    """Answers of one kind, and how many of them the verifier scores as it should."""

    answers: int = 0
    right: int = 0


class VerifierReport(BaseModel, frozen=True):
    """A verifier on labelled answers."""

    verifier: str
    gold: Tally
    """Gold answers; they should score 1."""
    correct: Tally
    """Solutions marked right; they should score 1."""
    wrong: Tally
    """Solutions marked wrong; they should score 0."""
    failures: tuple[str, ...]
    """The first gold and wrong answers with another score, by place."""

    @property
    def sound(self) -> bool:
        """Whether every gold answer scores 1 and every wrong one 0."""
        return self.gold.right == self.gold.answers and self.wrong.right == self.wrong.answers

    def require_sound(self) -> None:
        """Raise AgonError `verifier_invalid` unless the verifier may be used."""
        if not self.sound:
            failed, passed = self.gold.answers - self.gold.right, self.wrong.answers - self.wrong.right
            message = (
                f"{self.verifier} fails {failed} of {self.gold.answers} gold answers and passes {passed} "
                f"of {self.wrong.answers} wrong ones; {self.failures[0]}"
            )
            raise AgonError("verifier_invalid", message)


def check_prompts(verifier: str, prompts: Iterable[Prompt]) -> None:
    """Hold a verifier to right and wrong answers made from every prompt's parameters.

    Raises AgonError `verifier_invalid` naming the first prompt where it errs, `competition_invalid` for an
    unknown verifier or a prompt with parameters that it cannot use.
    """
    rule = find_verifier(verifier)
    for prompt in prompts:
        try:
            rule.check_params(prompt.params)
        except AgonError as error:
            raise AgonError(error.code, f"prompt {prompt.id}: {error.message}") from error
        for params, text, score in rule.examples(prompt.params):
            found = rule.score(text, params)
            if found != score:
                message = (
                    f"{verifier} gives {text[:60]!r} to prompt {prompt.id} {found:g} instead of {score:g}"
                )
                raise AgonError("verifier_invalid", message)


def validate_verifier(verifier: str, tasks: Sequence[Task]) -> VerifierReport:
    """Score every labelled answer.

    Raises AgonError `competition_invalid` for an unknown verifier, or naming the first task with parameters
    that it cannot use.
    """
    rule = find_verifier(verifier)
    counts = {"gold": [0, 0], "correct": [0, 0], "wrong": [0, 0]}
    failures = []
    for task in tasks:
        try:
            rule.check_params(task.params)
        except AgonError as error:
            raise AgonError(error.code, f"{task.place}: {error.message}") from error
        marked = [("correct" if right else "wrong", text) for text, right in task.solutions]
        for kind, text in [("gold", task.gold), *marked]:
            score = rule.score(text, task.params)
            as_it_should = score == (0.0 if kind == "wrong" else 1.0)
            counts[kind][0] += 1
            counts[kind][1] += as_it_should
            if not as_it_should and kind != "correct":
                failures.append(f"{task.place}: a {kind} answer scores {score:g}: {text[-60:]!r}")
    tallies = {kind: Tally(answers=answers, right=right) for kind, (answers, right) in counts.items()}
    return VerifierReport(verifier=verifier, failures=tuple(failures[:SHOWN]), **tallies)


def read_tasks(path: Path) -> tuple[Task, ...]:
    """Labelled solutions, one JSON object a line, plain or gzipped.

    `{"params", "gold", "solutions": [{"text", "is_correct"}]}`, or the GSM8K model solutions: `ground_truth`
    that ends in `A: ANSWER`, and fields that hold `{"solution", "is_correct"}`. Raises AgonError
    `data_invalid` naming the first bad line.
    """
    tasks = tuple(_parse(line) for line in read_lines(path))
    if not tasks:
        raise AgonError("data_invalid", f"{path} holds no task")
    return tasks


def _parse(line: Line) -> Task:
    row = line.row
    if "ground_truth" in row:
        gold = line.text("ground_truth")
        params: Any = {"answer": gold.rpartition("A:")[2].strip()}
        marked = [
            (value.get("solution"), value.get("is_correct"))
            for value in row.values()
            if isinstance(value, dict)
        ]
    else:
        gold, params, listed = line.text("gold"), row.get("params"), row.get("solutions", [])
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise line.fail("'solutions' is not a list of objects")
        marked = [(item.get("text"), item.get("is_correct")) for item in listed]
    if not isinstance(params, dict):
        raise line.fail("'params' is missing or no object")
    solutions = [(text, right) for text, right in marked if isinstance(text, str) and isinstance(right, bool)]
    if len(solutions) < len(marked):
        raise line.fail("a solution lacks its text or its mark")
    return Task(line.place, params, gold, tuple(solutions))
