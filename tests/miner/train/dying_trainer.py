"""A training that kills itself with SIGKILL after a progress line: `dying_trainer.py TASK TARGET LINE`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from miner.train.grpo import GrpoConfig
from miner.train.registry import train
from miner.train.task import TrainingTask
from shared.protocol.competition import Sampling
from shared.protocol.prompt import Prompt


def main(task_file: str, target: str, last_line: str) -> None:
    """Train until a line begins with `last_line`."""
    document = json.loads(Path(task_file).read_text())

    def talk(line: str) -> None:
        if line.startswith(last_line):
            os.kill(os.getpid(), signal.SIGKILL)

    task = TrainingTask(
        base=Path(document["base"]),
        prompts=[Prompt.model_validate(row) for row in document["prompts"]],
        verifiers=document["verifiers"],
        proxy=Path(document["proxy"]),
        sampling=Sampling.model_validate(document["sampling"]),
    )
    train("grpo", task, GrpoConfig.model_validate(document["config"]), Path(target), resume=True, talk=talk)


if __name__ == "__main__":
    main(*sys.argv[1:])
