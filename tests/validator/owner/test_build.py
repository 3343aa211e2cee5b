"""The whole build on tiny models: what it refuses before it samples, and what it says of what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

import shared.competitions
from shared.checkpoints.bundle import load_bundle, read_prompts
from shared.competitions.pools import load_prompt_source, make_pool
from shared.errors import AgonError
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.sandbox.client import SamplerChild
from shared.types import JudgeName, SliceName
from tests.fixtures.models import STOP
from validator.cli.main import app
from validator.owner.build import BundleInputs, build_bundle
from validator.owner.gate_rates import GateRates

DEMO = Path(shared.competitions.__path__[0]) / "demo.toml"
SLICES = (SliceName("instruct"), SliceName("constraints"))
MARK = b"\xef\xbb\xbf"


def small_rules(version: int) -> dict[str, Any]:
    rules = read_rules(DEMO)
    limits = {"prompt_tokens": 200, "new_tokens": 4}
    engine = {"dtype": "float32", "threads": 1, "batch": 16}
    sampling = {**rules["sampling"], "limits": limits, "engine": engine, "stop_ids": [STOP]}
    # what a build writes stands for nothing where the rules bring it along
    judging = {**rules["judging"], "validated_on_human_pairs": True}
    return {**rules, "rules_version": version, "sampling": sampling, "judging": judging}


@pytest.fixture
def brought(base_dir: Path, judge_dir: Path, tmp_path: Path) -> Path:
    """What an owner brings, in one directory; a byte order mark and a blank line in the public prompts."""
    source = load_prompt_source()

    def write(path: Path, prompts: list[Prompt]) -> None:
        path.write_bytes(MARK + b"".join(canonical_json(prompt) + b"\n\n" for prompt in prompts))

    (tmp_path / "pools").mkdir()
    for name in SLICES:
        write(tmp_path / "pools" / f"{name}.jsonl", list(make_pool(source, name, "pool", 400)))
    write(tmp_path / "reference.jsonl", [p for n in SLICES for p in make_pool(source, n, "reference", 12)])
    write(tmp_path / "public.jsonl", [p for n in SLICES for p in make_pool(source, n, "public", 12)])
    (tmp_path / "rules.json").write_text(json.dumps(small_rules(1)))
    (tmp_path / "base").symlink_to(base_dir)
    (tmp_path / "judge").symlink_to(judge_dir)
    return tmp_path


def inputs(brought: Path, version: int = 1, **fields: Any) -> BundleInputs:
    given: dict[str, Any] = {
        "rules": small_rules(version),
        "base": brought / "base",
        "sources": (),
        "pools": {name: brought / "pools" / f"{name}.jsonl" for name in SLICES},
        "judges": {JudgeName("held-out"): brought / "judge"},
        "proxy": None,
        "public_prompts": brought / "public.jsonl",
        "reference": brought / "reference.jsonl",
        "reference_prompts": 12,
        "reference_samples": 2,
    }
    return BundleInputs(**{**given, **fields})


def command(brought: Path, *more: str, out: str = "bundle") -> list[str]:
    line = ["competition", "build", "--out", str(brought / out), "--base", str(brought / "base")]
    line += ["--pools", str(brought / "pools"), "--judge", f"held-out={brought / 'judge'}"]
    line += ["--reference", str(brought / "reference.jsonl"), "--prompts", str(brought / "public.jsonl")]
    return [*line, "--rules", str(brought / "rules.json"), "--no-check-temperature", "--json", *more]


def run(line: list[str], code: int) -> dict[str, Any]:
    done = CliRunner().invoke(app, line, env={"BT_NETWORK": "embedded"})
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


@pytest.mark.torch
def test_a_build_prints_gates_and_says_in_the_rules_that_no_human_pairs_stand_behind_the_judges(
    brought: Path,
) -> None:
    built = run(command(brought, "--not-validated-on-human-pairs"), 0)
    rates = {part["slice"]: part for part in built["gates"]}
    assert set(rates) == set(SLICES) and all(part["any"] > 0.5 for part in rates.values())
    assert all("unfinished" in part["gates"] for part in rates.values())
    assert built["validated_on_human_pairs"] is False
    bundle = load_bundle(brought / "bundle")
    assert bundle.rules.judging.validated_on_human_pairs is False
    assert len(read_prompts(bundle.public / "prompts.jsonl")) == 24
    shown = run(["competition", "show", "--bundle", str(brought / "bundle"), "--json"], 0)
    assert shown["rules"]["judging"]["validated_on_human_pairs"] is False
    plain = CliRunner().invoke(app, ["competition", "show", "--bundle", str(brought / "bundle")])
    assert "validated_on_human_pairs  False" in " ".join(plain.stdout.split("\n")).replace("   ", "  ")


@pytest.mark.torch
def test_a_base_gated_on_most_completions_is_told_under_old_rules_and_refused_under_new_ones(
    brought: Path,
) -> None:
    rates: list[GateRates] = []
    with capture_logs() as logs:
        bundle = build_bundle(inputs(brought), brought / "old", rates.extend)
    told = [line for line in logs if line.get("code") == "base_gated"]
    assert len(told) == 1 and told[0]["log_level"] == "warning" and len(rates) == 2
    assert bundle.rules.judging.validated_on_human_pairs is None
    with pytest.raises(AgonError, match="gates close on more than 50%") as caught:
        build_bundle(inputs(brought, version=2), brought / "new")
    assert caught.value.code == "base_gated"
    assert not (brought / "new" / "competition.json").exists()


@pytest.mark.parametrize("more", [[], ["--judge-pairs", "rules.json", "--not-validated-on-human-pairs"]])
def test_a_build_wants_one_word_on_human_pairs(brought: Path, more: list[str]) -> None:
    error = run(command(brought, *more), 2)["error"]
    assert error["code"] == "usage" and "--not-validated-on-human-pairs" in error["message"]


def test_a_judge_named_twice_and_a_judges_parent_directory_are_refused(brought: Path) -> None:
    waived = "--not-validated-on-human-pairs"
    twice = run(command(brought, waived, "--judge", f"held-out={brought / 'judge'}"), 2)["error"]
    assert "held-out is given twice" in twice["message"]
    above = run(command(brought, waived, "--proxy", str(brought)), 1)["error"]
    assert above["code"] == "judge_unavailable" and str(brought / "judge") in above["help"]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param("prompts", "prompts_invalid", id="prompt without fields"),
        pytest.param("numbers", "pool_too_small", id="pool too small"),
        pytest.param("params", "competition_invalid", id="verifier without parameters"),
        pytest.param("proxy", "judge_invalid", id="held-out judge is the proxy"),
        pytest.param("family", "base_invalid", id="another family"),
        pytest.param("stop", "base_invalid", id="stop id"),
    ],
)
def test_faults_of_files_are_found_before_anything_is_sampled_or_written(
    brought: Path, change: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("sampled")

    monkeypatch.setattr(SamplerChild, "__init__", never)
    pool, rules, fields = brought / "pools" / "constraints.jsonl", small_rules(1), {}
    lines = [json.loads(line) for line in pool.read_text("utf-8-sig").splitlines() if line]
    if change == "prompts":
        lines[3] = {"text": "Say it."}
    elif change == "numbers":
        lines = lines[:60]
    elif change == "params":
        lines[3]["params"] = {}
    elif change == "proxy":
        fields = {"proxy": brought / "judge"}
    elif change == "family":
        rules["architecture"] = {**rules["architecture"], "family": "GPT2LMHeadModel"}
    else:
        rules["sampling"] = {**rules["sampling"], "stop_ids": [2]}
    pool.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(AgonError) as caught:
        build_bundle(inputs(brought, **fields, rules=rules), brought / "out")
    assert caught.value.code == code, caught.value
    assert caught.value.help
    assert not (brought / "out").exists()
