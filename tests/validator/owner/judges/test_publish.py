"""Judges that went through an S3 host: published, fetched without keys, measured as at home, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from shared.chain.commitment import parse_locator
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.stores import open_store
from shared.settings import Settings
from validator.cli.main import app

pytestmark = pytest.mark.torch

KEYS = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rows = [
        {"prompt": f"what is thing {index}", "chosen": "a " * (index % 7 + 1), "rejected": "b c"}
        for index in range(40)
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"BT_NETWORK": "embedded", "AGON_CACHE": str(tmp_path / "cache"), "AGON_STATE": str(tmp_path)}


@pytest.fixture
def place(s3_host: Any) -> str:
    s3_host.open_prefix("judges/")
    return f"s3://{s3_host.host}/models/judges"


def run(env: dict[str, str], *arguments: object) -> Result:
    return CliRunner().invoke(app, ["judge", *map(str, arguments), "--json"], env=env)


def test_a_published_judge_measures_as_the_directory_did(
    judge_dir: Path, place: str, pairs: Path, env: dict[str, str]
) -> None:
    done = run(env | KEYS, "publish", judge_dir, "--to", place)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["digest"] == build_manifest(judge_dir).digest
    assert found["source"] == f"{place}#{found['digest']}"
    far = run(env, "evaluate", found["source"], "--pairs", pairs)
    assert far.exit_code == 0, far.output
    assert json.loads(far.stdout) == json.loads(run(env, "evaluate", judge_dir, "--pairs", pairs).stdout)


def test_a_judge_of_several_labels_is_neither_published_nor_measured(
    *, two_label_dir: Path, s3_host: Any, place: str, pairs: Path, env: dict[str, str]
) -> None:
    refused = run(env | KEYS, "publish", two_label_dir, "--to", place)
    assert (refused.exit_code, s3_host.objects()) == (1, {})
    assert json.loads(refused.stdout)["error"]["code"] == "judge_invalid"
    hostile = Settings.load(network="embedded", s3_key_id="owner", s3_secret="secret")
    open_store(parse_locator(place), hostile).publish(two_label_dir, build_manifest(two_label_dir))
    measured = run(env, "evaluate", place, "--pairs", pairs)
    assert measured.exit_code == 1
    error = json.loads(measured.stdout)["error"]
    assert (error["code"], "has 2 labels" in error["message"]) == ("judge_invalid", True)


def test_the_proxy_of_one_model_with_another_s_weights_is_refused(
    *, judge_dir: Path, base_dir: Path, place: str, pairs: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Weights of another model under the judge's own names: whole, pinned, and still no judge."""
    mixed = tmp_path / "mixed"
    shutil.copytree(judge_dir, mixed)
    shutil.copy(base_dir / "model.safetensors", mixed)
    hostile = Settings.load(network="embedded", s3_key_id="owner", s3_secret="secret")
    open_store(parse_locator(place), hostile).publish(mixed, build_manifest(mixed))
    measured = run(env, "evaluate", place, "--pairs", pairs)
    assert json.loads(measured.stdout)["error"]["code"] == "judge_invalid", measured.output
