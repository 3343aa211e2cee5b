"""Replay: whether a signed verdict follows from the evidence behind it, checked by anybody.

Every step of the way is taken again with the lines that took it first: signature, row root, sampler
seeds, scores from raw rewards, and the decision. With judges at hand the raw rewards are made again
too. It needs no chain, no ledger and no key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.checkpoints.bundle import Bundle
from shared.duels.draw import completion_seed
from shared.duels.rows import fresh_difference, serving_judges, statistic
from shared.duels.scorer import Scorer
from shared.errors import AgonError
from shared.judging.judge import Judges
from shared.protocol.evidence import Evidence, EvidenceRow, ScoredCompletion
from shared.protocol.loader import field_errors
from shared.protocol.merkle import merkle_root
from shared.protocol.prompt import Prompt
from shared.protocol.statement import SlotReport, StatementBody
from shared.protocol.verdict import Verdict
from shared.protocol.wire import canonical_json, digest_bytes
from shared.signing import verify
from shared.stats.duel import Terms, decide
from shared.stats.rows import Batch
from shared.types import Digest, JudgeName, PromptId

SCORE_TOLERANCE = 1e-9
"""Mathematical functions differ by a last bit between platforms."""
REWARD_TOLERANCE = 1e-3
"""Raw rewards, by the batch that a text was padded in."""


@dataclass(frozen=True)
class Check:
    """One step of the replay."""

    name: str
    ok: bool
    found: str


@dataclass(frozen=True)
class _Case:
    """The evidence, opened, beside what the statement says of its duel."""

    evidence: Evidence
    body: StatementBody
    report: SlotReport
    verdict: Verdict
    bundle: Bundle

    @property
    def completions(self) -> list[tuple[EvidenceRow, ScoredCompletion]]:
        return [(row, item) for row in self.evidence.rows for item in (*row.challenger, *row.champion)]


def read_evidence(path: Path) -> Evidence:
    """The evidence in a file. Raises AgonError `data_invalid` when it is not in its form."""
    try:
        return Evidence.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AgonError("data_invalid", f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise AgonError("data_invalid", f"{path}: {field_errors(error)}") from error


def replay(evidence: Evidence, bundle: Bundle, judges: Judges | None = None) -> list[Check]:
    """Every check in order; the verdict stands when all are ok.

    With `judges` the raw rewards are made again, otherwise they are taken as recorded. Raises AgonError
    `data_invalid` when the statement tells of no verdict of this duel, or of other rules than the bundle's.
    """
    case = _open(evidence, bundle)
    steps: list[tuple[str, Callable[[_Case], tuple[bool, str]]]] = [
        ("signature", _signature),
        ("rows", _rows),
        ("seeds", _seeds),
        ("scores", _scores),
        ("verdict", _decision),
    ]
    if judges is not None:
        steps.insert(3, ("rewards", lambda opened: _rewards(opened, judges)))
    return [Check(name, *step(case)) for name, step in steps]


def _open(evidence: Evidence, bundle: Bundle) -> _Case:
    try:
        body = StatementBody.model_validate(evidence.statement.body)
    except ValidationError as error:
        raise AgonError("data_invalid", f"the statement: {field_errors(error)}") from error
    if body.competition != bundle.rules.digest:
        message = f"the statement is about competition {body.competition}, the bundle {bundle.rules.digest}"
        raise AgonError("data_invalid", message, help="pass the bundle of that competition")
    report = next((slot for slot in body.slots if slot.duel == evidence.duel), None)
    if report is None or report.verdict is None:
        raise AgonError("data_invalid", f"the statement tells of no verdict of duel {evidence.duel}")
    return _Case(evidence, body, report, report.verdict, bundle)


def _signature(case: _Case) -> tuple[bool, str]:
    try:
        verify(case.evidence.statement)
    except AgonError as error:
        return False, error.message
    return True, f"signed by {case.evidence.statement.author}"


def _rows(case: _Case) -> tuple[bool, str]:
    """The rows are the ones signed, and are about the two policies that the statement names."""
    rows = case.evidence.rows
    root = merkle_root([canonical_json(row) for row in rows])
    slots = merkle_root([digest_bytes(slot.rows_root) for slot in case.body.slots if slot.rows_root])
    signed = (root, slots) == (case.report.rows_root, case.body.rows_root)
    sides = {(row.challenger_model, row.champion_model) for row in rows} == {
        (case.report.model, case.body.champion)
    }
    placed = [row.position for row in rows] == list(range(sum(case.evidence.rounds.values())))
    if signed and sides and placed:
        return True, f"{len(rows)} rows have the signed root {root}"
    return False, f"{len(rows)} rows have root {root}, signed is {case.report.rows_root}, or other sides"


def _seeds(case: _Case) -> tuple[bool, str]:
    """The sampler seeds of the statement's own round follow from its close."""
    drawn = case.evidence.by_round.get(case.body.round, ())
    if case.body.seed is None:
        return not drawn, "the round has no seed"
    wrong = [row.position for row in drawn if not _seeded(row, case.body.seed)]
    return not wrong, f"{len(drawn)} rows are seeded by the round, {len(wrong)} are not"


def _seeded(row: EvidenceRow, seed: Digest) -> bool:
    def right(seeds: Sequence[int]) -> bool:
        return list(seeds) == [completion_seed(seed, row.prompt, index) for index in range(len(seeds))]

    return right(row.challenger_seeds) and right(row.champion_seeds)


def _scores(case: _Case) -> tuple[bool, str]:
    """Gates, z, u and s follow from completion and raw reward."""
    again = _score(case, _Recorded)
    worst = max(
        (_difference(one, two) for (_, one), two in zip(case.completions, again, strict=True)), default=0
    )
    return worst <= SCORE_TOLERANCE, f"{len(again)} scores, largest difference {worst:.1e}"


def _rewards(case: _Case, judges: Judges) -> tuple[bool, str]:
    again = _score(case, lambda _: judges)
    found = [
        abs(one.raw[name] - two.raw.get(name, math.inf))
        for (_, one), two in zip(case.completions, again, strict=True)
        for name in one.raw
    ]
    worst = max(found, default=0.0)
    return worst <= REWARD_TOLERANCE, f"{len(found)} rewards, largest difference {worst:.1e}"


def _score(case: _Case, judges_of: Callable[[Sequence[ScoredCompletion]], Judges]) -> list[ScoredCompletion]:
    """Every completion scored again, round by round with the judges that served it."""
    prompts = {prompt.id: prompt for pool in case.bundle.pools.values() for prompt in pool}
    rules, again = case.bundle.rules, []
    for number, rows in case.evidence.by_round.items():
        scored = [(row, item) for row in rows for item in (*row.challenger, *row.champion)]
        judges, terms = judges_of([item for _, item in scored]), serving_judges(rules, number)
        scorer = Scorer(rules, case.bundle.references, None, judges, terms=terms)
        asked = [_known(prompts, row.prompt) for row, _ in scored]
        again += scorer.score(asked, [item.completion for _, item in scored])
    return again


def _known(prompts: Mapping[PromptId, Prompt], name: PromptId) -> Prompt:
    if name not in prompts:
        raise AgonError("data_invalid", f"prompt {name} is in no pool of the bundle")
    return prompts[name]


def _difference(one: ScoredCompletion, two: ScoredCompletion) -> float:
    """Largest difference of two scorings of one completion; infinite when a gate or a judge differs."""
    if one.gates != two.gates or one.z.keys() != two.z.keys() or (one.u is None) != (two.u is None):
        return math.inf
    pairs = [(one.s, two.s), (one.u or 0.0, two.u or 0.0), *((one.z[name], two.z[name]) for name in one.z)]
    return max(abs(first - second) for first, second in pairs)


def _decision(case: _Case) -> tuple[bool, str]:
    """The published verdict follows from the rows."""
    rules = case.bundle.rules
    terms = Terms.of(rules, case.verdict.alpha)
    try:
        rows = [
            [statistic(row, fresh_difference(row, rules, number)) for row in taken]
            for number, taken in case.evidence.by_round.items()
        ]
        again = decide(terms, [Batch.split(terms.plan, part) for part in rows])
    except ValueError as error:
        return False, f"the rows are none that a duel can have had: {error}"
    if not isinstance(again, Verdict):
        return False, "the rows do not decide the duel"
    same = again.published() == case.verdict and case.verdict.alpha <= rules.duel.alpha
    return same, f"the rows give {again.outcome} ({again.reason}), signed is {case.verdict.outcome}"


class _Recorded:
    """Judges that repeat what they said of each completion. One text can have two rewards, as judges differ
    in the last digits by the batch that it is in."""

    def __init__(self, scored: Sequence[ScoredCompletion]) -> None:
        self._raw = [item.raw for item in scored if item.raw]

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        said = [raw[judge] for raw in self._raw if judge in raw]
        if len(said) != len(pairs):
            raise AgonError(
                "data_invalid", f"the evidence has {len(said)} rewards of judge {judge}, not {len(pairs)}"
            )
        return said
