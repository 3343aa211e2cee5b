"""`agon-miner train` on the public copy of a bundle ends in a package that the check accepts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from miner.cli.main import app
from shared.checkpoints.manifest import build_manifest, load_manifest

pytestmark = pytest.mark.torch

ZERO = "sha256:" + "0" * 64


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(part) for part in arguments])


def test_a_trained_checkpoint_passes_the_check_and_carries_its_lineage(bundle: Path, tmp_path: Path) -> None:
    out, made = tmp_path / "trained", tmp_path / "package"
    common = ("--recipe", "raft", "--bundle", bundle, "--out", out, "--prompts", "8", "--threads", "1")
    trained = run("train", *common, "--json")
    assert trained.exit_code == 0, trained.output
    report = json.loads(trained.stdout)
    assert run("package", out, "--out", made).exit_code == 0
    checked = run("check", made, "--bundle", bundle)
    assert checked.exit_code == 0, checked.output
    lineage = load_manifest(made).lineage
    assert lineage is not None
    assert lineage.model_dump() == {
        "parent": build_manifest(bundle / "base").digest,
        "recipe": "raft",
        "config": report["config"],
    }
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    again = run("train", *common, "--json", "--resume")
    assert json.loads(again.stdout) == report
    other = run("train", *common, "--json", "--resume", "--seed", "3")
    assert other.exit_code == 1
    assert json.loads(other.stdout)["error"]["message"] == "config.seed was 0 and is 3"
    second = run(
        "train", "-r", "raft", "--bundle", bundle, "--from", out, "--out", tmp_path / "b", "--seed", "x"
    )
    assert second.exit_code == 2, "a wrong setting is a usage error"


@pytest.mark.slow
def test_two_processes_train_one_checkpoint(bundle: Path, tmp_path: Path) -> None:
    """What `accelerate launch` does on several devices, on two CPU processes: half the steps, one result."""
    miner = Path(sysconfig.get_path("scripts")) / "agon-miner"
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", miner),
            *("train", "-r", "grpo", "--bundle", bundle, "--out", tmp_path / "out", "--prompts", "12"),
            *("--threads", "1", "--json"),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert json.loads(ended.stdout)["steps"] == 12 * 8 // (16 * 2)
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "out"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-r", "magic", "--out", "x"), "no recipe is called 'magic'"),
        (("-r", "raft"), "pass --out"),
        (("-r", "raft", "--out", "x", "--from", "champion"), "pass its address as --api"),
        (("-r", "raft", "--out", "x", "--from", "nowhere"), "--from takes base, champion or a directory"),
    ],
)
def test_wrong_usage_is_told_in_one_sentence(arguments: tuple[str, ...], reason: str, bundle: Path) -> None:
    ended = run("train", "--bundle", bundle, *arguments)
    assert ended.exit_code == 2
    assert reason in ended.stderr


@pytest.fixture
def api(bundle: Path) -> Iterator[str]:
    """Address of a validator whose champion is the base."""
    model = build_manifest(bundle / "base").digest
    board = {
        "competition": ZERO,
        "round": 3,
        "champion": {"model": model, "hotkey": None, "from_round": 0, "rounds": 3},
        "standings": [],
        "remainder": None,
        "weights": None,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(board).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_run_that_began_from_another_champion_is_not_resumed(
    bundle: Path, api: str, tmp_path: Path
) -> None:
    work = tmp_path / ".out.training"
    work.mkdir()
    (work / "run.json").write_text(json.dumps({"parent": ZERO}))
    ended = run(
        *("train", "-r", "raft", "--bundle", bundle, "--out", tmp_path / "out"),
        *("--from", "champion", "--api", api, "--resume", "--json"),
    )
    assert ended.exit_code == 1
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "champion_changed"
    assert ZERO in error["message"] and build_manifest(bundle / "base").digest in error["message"]


def test_the_settings_of_a_recipe_are_listed() -> None:
    listed = run("train", "-r", "rlaif", "--settings", "--json")
    assert "AGON_JUDGE_KEY" in json.loads(listed.stdout)["--judge-model"]
