"""The temperature check on tiny models: it finds the gain that sharper weights have, and a build tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from structlog.testing import capture_logs
from typer.testing import CliRunner

from shared.checkpoints.bundle import Bundle, load_bundle
from shared.checkpoints.manifest import build_manifest
from shared.competitions.pools import Purpose, load_prompt_source, make_pool
from shared.engines.hf import load_policy
from shared.engines.sampler import Request, sample
from shared.protocol.competition import Sampling
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.types import SliceName
from validator.cli.main import app
from validator.owner.temperature import check_temperature

pytestmark = pytest.mark.torch

SLICES = (SliceName("instruct"), SliceName("constraints"))


def prompts_of(name: SliceName, purpose: Purpose, count: int) -> list[Prompt]:
    return list(make_pool(load_prompt_source(), name, purpose, count))


def test_tensors_that_sharpen_their_logits_complete_as_at_a_lower_temperature(
    base_dir: Path, sampling: Sampling, tmp_path: Path
) -> None:
    """The final norm times four at temperature T draws what the base draws at T / 4, token by token."""
    weights = load_file(base_dir / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"] * 4
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    lower = sampling.model_copy(update={"temperature": sampling.temperature / 4})
    base, sharp = load_policy(base_dir), load_policy(base_dir, tmp_path)
    requests = [Request(base.render(text, 96), seed) for text in ("Why?", "A river") for seed in range(8)]
    drawn = [one.token_ids for one in sample(sharp, requests, sampling)]
    assert drawn == [one.token_ids for one in sample(base, requests, lower)]
    assert drawn != [one.token_ids for one in sample(base, requests, sampling)]


@pytest.mark.slow
def test_a_base_whose_likeliest_completions_are_its_best_is_reported(tiny_bundle: Bundle) -> None:
    prompts = [prompt for name in SLICES for prompt in prompts_of(name, "reference", 24)]
    with capture_logs() as logs:
        readings, finding = check_temperature(tiny_bundle, prompts, 24)
    own = tiny_bundle.rules.sampling.temperature
    assert [reading.temperature for reading in readings] == [0.6, 0.4, 0.2]
    assert readings[-1].lower > 0
    assert finding is not None
    assert finding.code == "temperature_too_high"
    assert f"at temperature 0.2 compared with {own:g}" in finding.message
    (told,) = [line for line in logs if line["log_level"] == "warning"]
    assert told["code"] == finding.code


@pytest.mark.slow
def test_a_build_takes_a_judge_from_a_bucket_and_warns_without_refusing(
    *, tiny_base: Path, tiny_judge: Path, tiny_bundle: Bundle, s3_host: Any, tmp_path: Path
) -> None:
    """The whole command: judge published to a store, fetched by the build, temperature told, bundle whole."""
    s3_host.open_prefix("judges/")
    env = {"BT_NETWORK": "embedded", "AGON_CACHE": str(tmp_path / "cache")}
    keys = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": "secret"}
    run, place = CliRunner().invoke, f"s3://{s3_host.host}/models/judges/one"
    done = run(app, ["judge", "publish", str(tiny_judge), "--to", place, "--json"], env=env | keys)
    assert done.exit_code == 0, done.output
    published = json.loads(done.stdout)
    (tmp_path / "pools").mkdir()
    for name in SLICES:
        write(tmp_path / "pools" / f"{name}.jsonl", prompts_of(name, "pool", 400))
    for purpose in ("reference", "public"):
        write(tmp_path / f"{purpose}.jsonl", [p for name in SLICES for p in prompts_of(name, purpose, 64)])
    rules = tiny_bundle.rules.model_dump(mode="json", exclude={"base", "judges"})
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    line = ["competition", "build", "--out", "bundle", "--base", str(tiny_base), "--rules", "rules.json"]
    line += ["--pools", "pools", "--reference", "reference.jsonl", "--prompts", "public.jsonl"]
    line += ["--not-validated-on-human-pairs"]
    built = run(
        app, in_place([*line, "--judge", f"held-out={published['source']}", "--json"], tmp_path), env=env
    )
    assert built.exit_code == 0, built.output
    assert "warning: temperature_too_high: the base scores +" in built.stderr
    found = json.loads(built.stdout)
    assert [reading["temperature"] for reading in found["temperatures"]] == [0.6, 0.4, 0.2]
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.rules.digest == found["competition"]
    assert bundle.rules.judges[0].digest == published["digest"] == build_manifest(tiny_judge).digest


def write(path: Path, prompts: list[Prompt]) -> None:
    path.write_bytes(b"".join(canonical_json(prompt) + b"\n" for prompt in prompts))


def in_place(line: list[str], root: Path) -> list[str]:
    """The line with every file and directory of ours below `root`."""
    ours = {"bundle", "rules.json", "pools", "reference.jsonl", "public.jsonl"}
    return [str(root / word) if word in ours else word for word in line]
