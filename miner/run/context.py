"""The context: what the steps of the unattended loop work with, and what its owner allowed.

`run_cli.py` opens it once. Training and scoring are handed in as functions, so that a test or another
machine can stand in for a child process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from miner.dry_run.score import Score
from miner.run.state import FOLDER, Attempt, RunState, save_state, state_path
from miner.submit.steps import Talk
from shared.checkpoints.bundle import Bundle
from shared.errors import AgonError
from shared.settings import Settings
from shared.types import Hotkey, Netuid


class Trainer(Protocol):
    """Makes a checkpoint; the recipes of `miner.train` behind a child process, or another method."""

    async def __call__(self, start: Path, target: Path, *, seed: int, failures: int) -> None:
        """Train from the checkpoint `start` and write `target`, or go on with what a kill left there.

        `failures` counts the attempts in a row that were not good enough: a larger run is due. Raises
        AgonError for a run that cannot succeed, TransientError for one that may.
        """
        ...


REST_SHARE = 4
"""The first rest is this part of a round, unless told otherwise."""

ScoreCheckpoint = Callable[[Path], Awaitable[Score]]
"""Scores a checkpoint against the present champion."""


@dataclass(frozen=True)
class Limits:
    """What the loop may do on its own."""

    min_chance: float
    """Least estimated chance to win for which it submits."""
    max_cost_tao: Decimal
    """Most TAO that it may ever spend, by this journal."""
    rest_blocks: int | None
    """First rest after an attempt that failed; a quarter of a round when unset."""
    poll_s: float
    """Pause between two questions."""
    attempts: int | None = None
    """Attempts after which it ends; none for never."""
    seed: int = 0


@dataclass(frozen=True)
class RunContext:
    """Everything a step is handed."""

    settings: Settings
    bundle: Bundle
    api: str
    hotkey: Hotkey
    netuid: Netuid
    locator: str
    """Where checkpoints are published; `{attempt}` stands for the number of the attempt."""
    limits: Limits
    train: Trainer
    score: ScoreCheckpoint
    talk: Talk

    @property
    def folder(self) -> Path:
        """Where attempts are kept."""
        return self.settings.state / FOLDER / "attempts"

    def checkpoint(self, attempt: Attempt) -> Path:
        """What training makes."""
        return self.folder / f"{attempt.number:04}" / "checkpoint"

    def package(self, attempt: Attempt) -> Path:
        """What is committed."""
        return self.folder / f"{attempt.number:04}" / "package"

    def place(self, attempt: Attempt) -> str:
        """Locator of an attempt."""
        return self.locator.replace("{attempt}", str(attempt.number))

    @property
    def rest_blocks(self) -> int:
        """The first rest after a failure."""
        return self.limits.rest_blocks or max(1, self.bundle.rules.schedule.round_blocks // REST_SHARE)

    def save(self, state: RunState) -> None:
        """Make the journal durable."""
        save_state(state_path(self.settings.state, self.hotkey), state)


def open_run_context(
    settings: Settings,
    api: str,
    locator: str | None,
    limits: Limits,
    *,
    train: Trainer,
    score: ScoreCheckpoint,
    talk: Talk,
) -> RunContext:
    """The context of the wallet and the bundle that the settings name. Raises AgonError as these do."""
    from shared.chain.wallets import hotkey_of, open_wallet
    from shared.checkpoints.bundle import load_bundle

    hotkey = hotkey_of(open_wallet(settings))
    return RunContext(
        settings=settings,
        bundle=load_bundle(settings.require_bundle(), public=True),
        api=api,
        hotkey=hotkey,
        netuid=settings.require_netuid(),
        locator=locator or default_locator(settings, hotkey),
        limits=limits,
        train=train,
        score=score,
        talk=talk,
    )


def default_locator(settings: Settings, hotkey: Hotkey) -> str:
    """A place of one's own on networks that share a directory. Raises AgonError `usage` on others."""
    if settings.allows_file_locators:
        return f"file:{hotkey[:16]}-{{attempt}}"
    message = "this network has no common directory to publish in"
    raise AgonError("usage", message, help="pass --locator, such as s3://host/bucket/run-{attempt}")
