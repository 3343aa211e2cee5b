"""The hidden directory beside a target where a run keeps what it has, so that it can go on after a kill.

A run's identity (recipe, settings, parent, digests of all inputs) is written first and compared at
`--resume`. Stages are written whole or not at all; the target appears by one rename at the end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from miner.train.settings import differences
from shared.checkpoints.files import write_whole
from shared.errors import AgonError
from shared.settings import Settings

IDENTITY_NAME = "run.json"
LOG_NAME = "training.jsonl"

Talk = Callable[[str], None]


class Workspace:
    """One run's directory."""

    def __init__(self, target: Path, talk: Talk) -> None:
        self.target = target
        self.root = root_of(target)
        self.talk = talk
        self.history: list[dict[str, Any]] = []
        """Rows of all trainers of this run, in order."""

    def open(self, identity: dict[str, Any], *, resume: bool) -> None:
        """Start, or go on with, the run of this identity.

        Raises AgonError `resume_mismatch` naming every difference, `usage` when an unfinished run is in
        the way and `resume` was not asked for.
        """
        recorded = self.root / IDENTITY_NAME
        if is_main():
            if recorded.is_file() and not resume:
                raise AgonError(
                    "usage",
                    f"{self.root} holds an unfinished run",
                    help="go on with --resume, or delete that directory to start anew",
                )
            if not recorded.is_file():
                self.root.mkdir(parents=True, exist_ok=True)
                write_whole(recorded, json.dumps(identity, indent=2, sort_keys=True).encode())
        meet()
        require_same(json.loads(recorded.read_bytes()), identity)

    def file(self, name: str, make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Rows of the stage file `name`: as made before the interruption, or made now by one process."""
        path = self.root / f"{name}.jsonl"
        if not path.is_file() and is_main():
            rows = make()
            write_whole(path, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        meet()
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def stage(self, name: str) -> Path:
        """Directory of a stage; it exists only when the stage is finished."""
        return self.root / name

    def record(self, stage: str, rows: list[dict[str, Any]]) -> None:
        """Keep a trainer's log."""
        self.history += [{"stage": stage, **row} for row in rows]

    def close(self) -> None:
        """Remove the directory: the target holds everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def close_unless_begun(self) -> None:
        """Remove the directory when it holds nothing worth resuming."""
        if all(path.name == IDENTITY_NAME for path in self.root.glob("*")):
            self.close()


def root_of(target: Path) -> Path:
    """Where the workspace of a target is."""
    return target.with_name(f".{target.name}.training")


def recorded_parent(target: Path) -> str | None:
    """Digest of the checkpoint that the run of this target, finished or not, began from."""
    for place in (target, root_of(target)):
        if (place / IDENTITY_NAME).is_file():
            return str(json.loads((place / IDENTITY_NAME).read_bytes())["parent"])
    return None


def require_same(recorded: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to resume a run as another one. Raises AgonError `resume_mismatch`."""
    changed = differences(recorded, identity)
    if changed:
        raise AgonError("resume_mismatch", "; ".join(changed))


def is_main() -> bool:
    """Whether this process is the one that writes, under `accelerate launch` or alone."""
    return Settings.load().rank == 0


def meet() -> None:
    """Wait for the other processes of the run, if there are any."""
    if Settings.load().world_size > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available()).wait_for_everyone()
