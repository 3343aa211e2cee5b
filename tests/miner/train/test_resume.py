"""A killed run goes on where it stood, as the same run or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from miner.train.grpo import GrpoConfig
from miner.train.raft import RaftConfig
from miner.train.registry import train
from miner.train.settings import TrainConfig
from miner.train.task import TrainingTask
from miner.train.trainer import newest_checkpoint
from miner.train.workspace import root_of
from shared.errors import AgonError

pytestmark = pytest.mark.torch

CHILD = Path(__file__).with_name("dying_trainer.py")
CONFIG = GrpoConfig(prompts=12, batch=16, save_steps=2, learning_rate=5e-4, threads=1)


@pytest.fixture
def task_file(task: TrainingTask, tmp_path: Path) -> Path:
    document = {
        "base": str(task.base),
        "prompts": [prompt.model_dump(mode="json") for prompt in task.prompts],
        "verifiers": dict(task.verifiers),
        "proxy": str(task.proxy),
        "sampling": task.sampling.model_dump(mode="json"),
        "config": CONFIG.model_dump(mode="json"),
    }
    path = tmp_path / "task.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.slow
def test_grpo_goes_on_after_sigkill_as_if_nothing_had_happened(
    task: TrainingTask, task_file: Path, tmp_path: Path
) -> None:
    """Killed after step 5 of 6; what it did after the checkpoint of step 4 is done again, the same."""
    target = tmp_path / "out"
    line = "grpo: step 5 of 6"
    ended = subprocess.run(
        [sys.executable, str(CHILD), str(task_file), str(target), line],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not target.exists()
    assert newest_checkpoint(root_of(target) / "grpo.steps") == root_of(target) / "grpo.steps/checkpoint-4"

    said: list[str] = []
    report = train("grpo", task, CONFIG, target, resume=True, talk=said.append)
    assert "grpo: goes on from checkpoint-4" in said
    assert report.steps == 6
    assert not root_of(target).exists()
    undisturbed = train("grpo", task, CONFIG, tmp_path / "undisturbed")
    weights = [(place / "model.safetensors").read_bytes() for place in (target, Path(undisturbed.path))]
    assert weights[0] == weights[1]


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path: Path) -> None:
    for step, state in (("2", '{"global_step": 2}'), ("10", '{"global_st')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def begun(task: TrainingTask, config: TrainConfig, target: Path) -> None:
    """A run that ended before its training, with its answers drawn."""

    def stop(line: str) -> None:
        if line.startswith("raft-1"):
            raise AgonError("interrupted", "stopped here")

    with pytest.raises(AgonError, match="stopped here"):
        train("raft", task, config, target, talk=stop)


def test_resume_refuses_another_run_and_names_every_difference(task: TrainingTask, tmp_path: Path) -> None:
    config, target = RaftConfig(prompts=4, threads=1), tmp_path / "out"
    begun(task, config, target)
    with pytest.raises(AgonError, match="unfinished run") as in_the_way:
        train("raft", task, config, target)
    assert in_the_way.value.code == "usage"
    changed = config.model_copy(update={"learning_rate": 1e-5, "seed": 4})
    with pytest.raises(AgonError) as caught:
        train("raft", replace(task, prompts=task.prompts[:40]), changed, target, resume=True)
    assert caught.value.code == "resume_mismatch"
    for part in (
        "config.learning_rate was 0.0002 and is 1e-05",
        "config.seed was 0 and is 4",
        "inputs.prompts",
    ):
        assert part in caught.value.message
    report = train("raft", task, config, target, resume=True)
    assert train("raft", task, config, target, resume=True) == report, "a finished run is only told again"
    with pytest.raises(AgonError, match="exists"):
        train("raft", task, config, target)
