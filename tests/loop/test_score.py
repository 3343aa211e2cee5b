"""A dry run tells a better policy from a worse one and from a copy, and asks nothing twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from miner.cli.main import app
from miner.dry_run.dry_run import open_dry_run
from miner.dry_run.opponent import assumed_conditions
from miner.dry_run.score import Score, score
from shared.checkpoints.bundle import Bundle, load_bundle, write_public_copy
from shared.duels.scorer import Scorer

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle, tiny_judge: Path) -> Bundle:
    """The public copy, its proxy a judge of the same kind as the held-out one."""
    root = tmp_path_factory.mktemp("public") / "bundle"
    write_public_copy(tiny_bundle.root, root)
    shutil.copytree(tiny_judge, root / "public" / "proxy")
    return load_bundle(root, public=True)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def play(public: Bundle, state: Path) -> Iterator[Callable[[Path], Score]]:
    """Score a checkpoint against the base."""
    conditions = assumed_conditions(public.rules, trial=1, slots=2)
    with open_dry_run(public, {}, prompts=256, seed=0, state=state) as dry_run:

        def act(checkpoint: Path) -> Score:
            return score(dry_run, checkpoint, public.base, conditions, against="base", runs=200, seed=1)

        yield act


def test_a_better_policy_has_a_chance_and_others_have_none(
    play: Any, public: Bundle, better: Path, worse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = play(better)
    asked: list[Path] = []
    evaluate = Scorer.evaluate
    monkeypatch.setattr(Scorer, "evaluate", lambda self, w, jobs: asked.append(w) or evaluate(self, w, jobs))
    bad, copied, again = play(worse), play(public.base), play(better)
    assert good.chance > 0.5 > bad.chance + 0.4
    assert good.lower <= good.mean <= good.upper
    assert bad.upper < 0 < good.lower
    assert again == good
    assert public.base not in asked[:2]  # its champion samples were in the cache
    assert good.prompts == bad.prompts == 2 * sum(part.prompts for part in good.slices[:1])
    assert (copied.mean, copied.chance) == (pytest.approx(0, abs=0.1), 0.0)
    assert copied.ends == {"indistinguishable": 1.0}
    assert copied.verdict is not None
    assert copied.verdict.reason == "indistinguishable"


def test_the_command_prints_one_document(
    public: Bundle, state: Path, better: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGON_API", raising=False)
    (tmp_path / "checkpoint").mkdir()
    shutil.copy(better / "model.safetensors", tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "optimizer.pt").write_bytes(b"left out by packaging")
    line = ["score", "checkpoint", "--bundle", str(public.root), "--state", str(state), "--runs", "50"]
    result = CliRunner().invoke(app, [*line, "--slots", "2", "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    found = Score.model_validate_json(result.stdout)
    assert (found.against, found.trial, found.slots, found.judges) == ("base", 1, 2, ("proxy",))
    assert found.conditions.startswith("assumed")
    people = CliRunner().invoke(app, line).stdout
    assert "chance in 2 rounds" in people
    assert "90%" in people


def test_a_checkpoint_that_admission_refuses_is_not_sampled(
    public: Bundle, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    line = ["score", "broken", "--bundle", str(public.root), "--state", str(state), "--json"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["findings"][0]["code"] == "header_invalid"
