"""The panel: every judge of the rules behind one call, each where it can run.

Local families score in the judging child, which is handed in. Families that ask a server run here, because
that child has no network; a server sees prompts and completions, never a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.errors import AgonError
from shared.judging.families import Server, family_of
from shared.judging.judge import Bench, Pairs
from shared.protocol.competition import JudgeTerm
from shared.types import JudgeName


class Panel:
    """Judges by name. Close it when it is done with; the child is the caller's."""

    def __init__(
        self,
        child: Bench,
        terms: Sequence[JudgeTerm],
        directories: Mapping[JudgeName, Path],
        server: Server | None = None,
    ) -> None:
        """`server` comes from the validator's settings. Raises AgonError `judge_invalid`."""
        self._child = child
        self._remote: dict[JudgeName, Any] = {
            term.name: family_of(term.kind).load(directories[term.name], term.params, server)
            for term in terms
            if family_of(term.kind).remote
        }

    def reward(self, judge: JudgeName, pairs: Pairs) -> list[float]:
        """The raw reward of every (prompt text, completion text) pair, in order. Errors are the family's."""
        own = self._remote.get(judge)
        rewards: list[float] = self._child.reward(judge, pairs) if own is None else own.reward(pairs)
        if len(rewards) != len(pairs):
            raise AgonError(
                "judge_invalid", f"judge {judge} gave {len(rewards)} rewards to {len(pairs)} texts"
            )
        return rewards

    def room(self, judge: JudgeName) -> int | None:
        """Tokens of a prompt and its completion together that a judge reads whole; None behind a server."""
        return None if judge in self._remote else self._child.room(judge)

    def close(self) -> None:
        """Close what asks servers."""
        for judge in self._remote.values():
            judge.close()
