"""The judging child: `python -m shared.sandbox.judge_worker`, started by `client.JudgeChild`.

It sees prompt and completion texts and the judges' directories; never a miner's file. Each judge is
loaded by its family when it is first asked, and stays loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import AgonError
from shared.sandbox.worker import serve, thread_count

if TYPE_CHECKING:  # torch starts threads, so it is imported only after isolation
    from shared.judging.judge import Rewarder


class Worker:
    """Answers the parent's requests."""

    def __init__(self) -> None:
        self._judges: dict[str, Rewarder] = {}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """`open` names the judges with kind and parameters; `reward` scores pairs of texts with one of them,
        `room` says how much one reads."""
        if request["op"] == "open":
            import torch

            torch.set_num_threads(thread_count())
            self._opened: dict[str, dict[str, Any]] = dict(request["judges"])
            return {}
        judge = self._judge(str(request["judge"]))
        if request["op"] == "room":
            return {"room": getattr(judge, "room", None)}
        return {"rewards": judge.reward([(str(prompt), str(answer)) for prompt, answer in request["pairs"]])}

    def _judge(self, name: str) -> Rewarder:
        from shared.judging.families import load_family

        if name not in self._opened:
            raise AgonError("judge_invalid", f"no judge is called {name}")
        if name not in self._judges:
            asked = self._opened[name]
            self._judges[name] = load_family(str(asked["kind"]), Path(asked["path"]), asked["params"])
        return self._judges[name]


def main() -> None:
    """Serve the parent on the standard streams."""
    serve("judge", Worker().handle, isolate=True)


if __name__ == "__main__":
    main()
