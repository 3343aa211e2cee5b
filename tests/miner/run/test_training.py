"""Attempts train on another seed each and, after failures, on more prompts; errors are documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from miner.run.training import grow, main
from miner.train.settings import TrainConfig


class Sampling(TrainConfig):
    prompts: int = 80
    learning_rate: float = 1e-3


class Staged(TrainConfig):
    first: Sampling = Sampling()
    file: Path | None = None


def test_attempts_differ_in_seed_and_grow_after_failures() -> None:
    grown = [grow(Sampling(), most=250, seed=7 + n, failures=n) for n in range(5)]
    assert [(config.prompts, config.seed) for config in grown] == [
        (80, 7), (120, 8), (180, 9), (250, 10), (250, 11),
    ]  # fmt: skip
    assert {config.learning_rate for config in grown} == {1e-3}
    # what was asked for is never cut, even when there is less
    assert grow(Sampling(prompts=300), most=250, seed=0, failures=2).prompts == 300


def test_the_stages_of_a_pipeline_grow_with_it() -> None:
    grown = grow(Staged(), most=100, seed=3, failures=1)
    assert grown == Staged(seed=3, first=Sampling(seed=3, prompts=100))


def test_a_job_that_cannot_be_done_is_a_document(capsys: Any, tmp_path: Path) -> None:
    job = {
        "recipe": "alchemy", "config": None, "bundle": str(tmp_path), "start": str(tmp_path),
        "target": str(tmp_path / "x"), "seed": 0, "failures": 0,
    }  # fmt: skip
    assert main(json.dumps(job)) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
    assert main("{}") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
