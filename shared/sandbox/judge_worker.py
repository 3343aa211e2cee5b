"""The judging child: `python -m shared.sandbox.judge_worker`, started by `children.JudgeChild`.

It sees prompt and completion texts and the judges' directories; never a miner's file. Each judge is
loaded when it is first asked and stays loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import AgonError
from shared.sandbox.worker import serve, thread_count

if TYPE_CHECKING:  # torch starts threads, so it is imported only after isolation
    from shared.judging.reward_model import RewardModel


class Worker:
    """Answers the parent's requests."""

    def __init__(self) -> None:
        self._judges: dict[str, RewardModel] = {}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """`open` names the judges; `reward` scores pairs of texts with one of them."""
        if request["op"] == "open":
            import torch

            torch.set_num_threads(thread_count())
            self._directories = {str(name): Path(path) for name, path in request["judges"].items()}
            return {}
        pairs = [(str(prompt), str(answer)) for prompt, answer in request["pairs"]]
        return {"rewards": self._judge(str(request["judge"])).reward(pairs)}

    def _judge(self, name: str) -> RewardModel:
        from shared.judging.reward_model import RewardModel

        if name not in self._directories:
            raise AgonError("judge_invalid", f"no judge is called {name}")
        if name not in self._judges:
            self._judges[name] = RewardModel(self._directories[name])
        return self._judges[name]


def main() -> None:
    """Serve the parent on the standard streams."""
    serve("judge", Worker().handle, isolate=True)


if __name__ == "__main__":
    main()
