"""Child processes of the run: training and scoring, each in a process of its own that dies with it.

A child prints one JSON document on stdout and talks on stderr; its error becomes ours. Models are thus
never in the loop's own memory, and a stop does not wait for a step of training.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miner.dry_run.score import Score
from shared.errors import CODES, AgonError, Fault, Rejection, TransientError
from shared.settings import Settings

MINER = ("-c", "from miner.cli.main import app; app()")
STOP_TIMEOUT_S = 10.0


async def run_child(*arguments: str, log: Path) -> dict[str, Any]:
    """The document that `python ARGUMENTS` prints. Its stderr goes to the end of `log`.

    Raises the AgonError that the child prints, and TransientError `child_failed` for one that died.
    Cancelling ends the child before it returns.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as talk:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=talk,
        )
        try:
            printed, _ = await child.communicate()
        finally:
            await _end(child)
    document = _document(printed)
    if child.returncode == 0 and document is not None:
        return document
    raise _error(document, arguments, child.returncode, log)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        child.kill()
        await child.wait()


def _document(printed: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(printed)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _error(
    document: dict[str, Any] | None, arguments: Sequence[str], code: int | None, log: Path
) -> AgonError:
    """The child's error as one of ours, of the kind that its fault says."""
    told = (document or {}).get("error") or next(iter((document or {}).get("findings", [])), None)
    known = isinstance(told, dict) and told.get("code") in CODES
    if not known or told is None:
        return TransientError("child_failed", f"{arguments[-1]} ended with {code}; see {log}")
    fault = CODES[told["code"]].fault
    kind = {Fault.MINER: Rejection, Fault.NETWORK: TransientError}.get(fault, AgonError)
    return kind(told["code"], str(told.get("message")), help=told.get("help"))


class ScoreInChild:
    """`agon-miner score` against the champion that the API names."""

    def __init__(self, settings: Settings, api: str, *, prompts: int, judges: Path | None) -> None:
        self._settings = settings
        self._api = api
        self._prompts = prompts
        self._judges = judges

    async def __call__(self, checkpoint: Path) -> Score:
        """See `ScoreCheckpoint`."""
        places = {
            "--bundle": self._settings.bundle,
            "--state": self._settings.state,
            "--judges": self._judges,
            "--network": self._settings.network,
        }
        options = [part for name, value in places.items() if value for part in (name, str(value))]
        command = ("score", str(checkpoint), "--api", self._api, "--prompts", str(self._prompts), "--json")
        log = self._settings.state / "logs" / "score.log"
        return Score.model_validate(await run_child(*MINER, *command, *options, log=log))


class TrainInChild:
    """A recipe of `miner.train` by name, with a file of settings."""

    def __init__(self, settings: Settings, recipe: str, config: Path | None) -> None:
        self._settings = settings
        self._recipe = recipe
        self._config = config

    async def __call__(self, start: Path, target: Path, *, seed: int, failures: int) -> None:
        """See `Trainer`."""
        job = {
            "recipe": self._recipe,
            "config": None if self._config is None else str(self._config),
            "bundle": str(self._settings.require_bundle()),
            "start": str(start),
            "target": str(target),
            "seed": seed,
            "failures": failures,
        }
        log = self._settings.state / "logs" / "train.log"
        await run_child("-m", "miner.run.training", json.dumps(job), log=log)
