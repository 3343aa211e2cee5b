"""The two children, and the checks that every answer of theirs passes.

Validator and miner hold one of each. Completions and rewards are checked for length, range and
finiteness before anything else sees them; text and rewards themselves are the child's word.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.engines.engine import CompletionJob
from shared.errors import AgonError, TransientError
from shared.protocol.competition import JudgeTerm, Sampling
from shared.protocol.evidence import Completion
from shared.sandbox.frames import FrameError
from shared.sandbox.process import ANSWER_TIMEOUT_S, Child
from shared.types import JudgeName

TEXT_PER_TOKEN = 512
"""Most characters of text that one token can stand for."""
REWARD_MODEL = "reward-model"
"""Family of a judge whose term is not known, as a miner's own or the proxy."""


class SamplerChild(Child):
    """Draws completions from checkpoints, in a process that holds nothing worth stealing."""

    def __init__(
        self, base: Path, rules: Sampling, log: Path | None = None, *, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        super().__init__(
            [sys.executable, "-m", "shared.sandbox.sampler_worker"],
            {"base": str(base.resolve()), "rules": rules.model_dump(mode="json")},
            log=log,
            threads=rules.engine.threads,
            timeout_s=timeout_s,
        )
        self._base = base
        self._rules = rules

    def complete(self, checkpoint: Path, jobs: Sequence[CompletionJob]) -> list[Completion]:
        """One completion per job from the policy at `checkpoint`/model.safetensors, in order.

        Raises Rejection for a policy that does not fit or is not finite, TransientError `child_failed`.
        """
        if not jobs:
            return []
        request = {"checkpoint": str(checkpoint.resolve()), "jobs": [(job.text, job.seed) for job in jobs]}
        result = self.call({"op": "complete", **request})
        vocabulary = _vocabulary(self._base)
        try:
            items = _listed(result, "completions", len(jobs))
            return [_checked_completion(item, self._rules, vocabulary) for item in items]
        except FrameError as error:
            self.close()
            raise TransientError("child_failed", f"the sampler child: {error}") from error


class JudgeChild(Child):
    """Scores texts with learned judges, in a process that never sees a miner's file."""

    def __init__(
        self,
        judges: Mapping[JudgeName, Path],
        log: Path | None = None,
        *,
        terms: Sequence[JudgeTerm] = (),
        threads: int = 1,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """`judges` are directories. A judge's family and its parameters are those of its term; one that
        `terms` do not name is a reward model."""
        families = {term.name: {"kind": term.kind, "params": term.params} for term in terms}
        plain = {"kind": REWARD_MODEL, "params": {}}
        super().__init__(
            [sys.executable, "-m", "shared.sandbox.judge_worker"],
            {
                "judges": {
                    name: {"path": str(path.resolve()), **families.get(name, plain)}
                    for name, path in judges.items()
                }
            },
            log=log,
            threads=threads,
            timeout_s=timeout_s,
        )

    def reward(self, judge: JudgeName, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The judge's raw reward for every (prompt text, completion text) pair, in order.

        Raises AgonError `judge_invalid` or `judge_non_finite`, TransientError `child_failed`.
        """
        if not pairs:
            return []
        result = self.call({"op": "reward", "judge": judge, "pairs": [list(pair) for pair in pairs]})
        try:
            rewards = _listed(result, "rewards", len(pairs))
        except FrameError as error:
            self.close()
            raise TransientError("child_failed", f"the judge child: {error}") from error
        if not all(type(value) in (int, float) and math.isfinite(value) for value in rewards):
            raise AgonError(
                "judge_non_finite", f"judge {judge} returned something that is not a finite number"
            )
        return [float(value) for value in rewards]

    def room(self, judge: JudgeName) -> int | None:
        """Tokens of a prompt and its completion together that a judge reads whole, in its own tokens; None
        where its family does not say.

        Raises AgonError `judge_invalid`, TransientError `child_failed`.
        """
        room = self.call({"op": "room", "judge": judge}).get("room")
        return room if isinstance(room, int) else None


def _listed(result: Mapping[str, Any], name: str, count: int) -> list[Any]:
    values = result.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise FrameError(f"{name} is not a list of {count}")
    return values


def _vocabulary(base: Path) -> int:
    try:
        return int(json.loads((base / "config.json").read_text(encoding="utf-8"))["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AgonError("base_unavailable", f"{base}/config.json has no vocab_size: {error}") from error


def _checked_completion(item: Any, rules: Sampling, vocabulary: int) -> Completion:
    """The completion, if it is one that `race-1` could have drawn under `rules`."""
    try:
        completion = Completion.model_validate_json(json.dumps(item), strict=True)
    except (ValidationError, TypeError) as error:
        raise FrameError(f"a completion is malformed: {error}") from error
    ids, limit, stop = completion.token_ids, rules.limits.new_tokens, set(rules.stop_ids)
    stopped = bool(ids) and ids[-1] in stop
    drawn = 1 <= len(ids) <= limit and all(0 <= token < vocabulary for token in ids)
    ended = completion.finished == stopped and (stopped or len(ids) == limit) and not stop & set(ids[:-1])
    plausible = completion.logprob <= 1e-6 and completion.base_logprob <= 1e-6
    if not (drawn and ended and plausible and len(completion.text) <= TEXT_PER_TOKEN * len(ids)):
        raise FrameError("a completion breaks the sampler's rules")
    return completion
