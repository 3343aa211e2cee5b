"""The red team's world, built once a session on disk, and opened with one sampler and one judging child."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.checkpoints.bundle import load_bundle
from shared.sandbox.client import JudgeChild, SamplerChild
from tests.redteam.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[World]:
    """The competition, ready to judge; processes that test at once share what the first one built."""
    base = tmp_path_factory.getbasetemp()
    shared_root = base if worker_id == "master" else base.parent
    root = shared_root / "red-team"
    if not root.is_dir():
        made = Path(tempfile.mkdtemp(dir=shared_root))
        build_world(made)
        try:
            made.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was first; both made the same files
                raise
    bundle = load_bundle(root / "bundle")
    with SamplerChild(bundle.base, bundle.rules.sampling) as sampler, JudgeChild(bundle.judges) as judges:
        yield World(root, sampler, judges)
