"""Bundles: whatever differs from the rules is refused by name; numbers that prove nothing as well."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.checkpoints.bundle import (
    Bundle,
    load_bundle,
    write_base_table,
    write_pool,
    write_public_copy,
    write_reference,
    write_rules,
)
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.numbers import check_bundle_numbers
from shared.errors import AgonError
from shared.protocol.competition import Competition
from shared.protocol.loader import parse_competition
from shared.protocol.prompt import Prompt
from shared.protocol.reference import LengthReference, Reference
from shared.types import PromptId, SliceName

WORDS = SliceName("words")


def _prompts(count: int = 60, clusters: int = 50) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(id=PromptId(f"w{i}"), slice=WORDS, cluster=f"c{i % clusters}", text=f"Say {i}.")
        for i in range(count)
    )


REFERENCE = Reference(
    slice=WORDS,
    completions=100,
    lengths=LengthReference(mean=3.0, within_sd=1.0, low=1.0, high=9.0),
    nll_high=9.0,
    s_mean=0.5,
)


@pytest.fixture
def bundle(tmp_path: Path, base: Path, rules_document: dict[str, Any]) -> Bundle:
    root = tmp_path / "bundle"
    shutil.copytree(base, root / "base")
    (root / "judges" / "minilm-a").mkdir(parents=True)
    (root / "judges" / "minilm-a" / "head.txt").write_text("weights")
    (root / "public").mkdir()
    (root / "public" / "prompts.jsonl").write_text("")
    rules_document["architecture"]["table"] = write_base_table(root)
    part = rules_document["slices"][0]
    part["pool"] = write_pool(root, WORDS, _prompts()).model_dump()
    part["reference"] = write_reference(root, REFERENCE)
    judge = build_manifest(root / "judges" / "minilm-a").digest
    rules_document["judges"] = [{"name": "minilm-a", "digest": judge, "from_round": 0}]
    write_rules(root, parse_competition(rules_document, source="test"))
    return load_bundle(root)


def test_a_bundle_holds_what_its_rules_name(bundle: Bundle) -> None:
    assert bundle.pools == {WORDS: _prompts()}
    assert bundle.references == {WORDS: REFERENCE}
    assert bundle.judges == {"minilm-a": bundle.root / "judges" / "minilm-a"}
    assert build_manifest(bundle.base).digest == bundle.rules.base.digest
    check_bundle_numbers(bundle.rules, bundle.pools)


def test_a_public_copy_has_no_held_out_part(bundle: Bundle, tmp_path: Path) -> None:
    write_public_copy(bundle.root, tmp_path / "copy")
    copy = load_bundle(tmp_path / "copy", public=True)
    assert copy.rules.digest == bundle.rules.digest
    assert (copy.pools, copy.references, copy.judges) == ({}, {}, {})
    assert copy.base_table == bundle.base_table
    assert (copy.public / "prompts.jsonl").is_file()
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "base",
        "base_table.json",
        "competition.json",
        "public",
    ]
    with pytest.raises(AgonError, match="bundle_damaged"):
        load_bundle(tmp_path / "copy")


@pytest.mark.parametrize(
    "name",
    [
        "competition.json",
        "pools/words.jsonl",
        "references/words.json",
        "judges/minilm-a/head.txt",
        "base/config.json",
        "base_table.json",
    ],
)
@pytest.mark.parametrize("damage", ["gone", "empty", "changed"])
def test_damage_is_named(bundle: Bundle, name: str, damage: str) -> None:
    path = bundle.root / name
    text = path.read_text()
    path.unlink()
    if damage != "gone":
        path.write_text("" if damage == "empty" else text.replace("1", "2", 1).replace("weights", "other"))
    if name == "base/config.json" and damage == "changed":
        path.write_text("{}")
    if name == "competition.json" and damage == "changed":
        path.write_text(text.replace('"tiny"', '"TINY!"'))
    with pytest.raises(AgonError) as damaged:
        load_bundle(bundle.root)
    assert damaged.value.code == "bundle_damaged"
    assert str(path.parent if "judges" in name or "base/" in name else path) in damaged.value.message


def test_a_norm_that_is_not_the_base_s_is_damage(bundle: Bundle) -> None:
    path = bundle.root / "base_table.json"
    norm = bundle.base_table.tensors["embed"].norm
    path.write_text(path.read_text().replace(str(norm), str(norm * 2)))
    with pytest.raises(AgonError, match="the norm of 'embed' is not the base's"):
        load_bundle(bundle.root)


def test_a_judge_not_handed_out_yet_may_be_absent(bundle: Bundle) -> None:
    shutil.rmtree(bundle.root / "judges")
    with pytest.raises(AgonError, match=r"bundle_damaged: .*minilm-a"):
        load_bundle(bundle.root)
    assert load_bundle(bundle.root, require_judges=False).judges == {}


@pytest.mark.parametrize(
    ("prompts", "code"),
    [
        pytest.param((), "pool_too_small", id="empty"),
        pytest.param(_prompts(55, 50), "pool_too_small", id="one too few"),
        pytest.param(_prompts(60, 49), "competition_invalid", id="too few clusters"),
        pytest.param(_prompts(60, 51), "competition_invalid", id="clusters differ from the rules"),
        pytest.param(_prompts(61, 50), "competition_invalid", id="size differs from the rules"),
    ],
)
def test_pools_that_cannot_serve_are_refused(prompts: Any, code: str, rules: Competition) -> None:
    with pytest.raises(AgonError) as refused:
        check_bundle_numbers(rules, {WORDS: prompts})
    assert refused.value.code == code
    check_bundle_numbers(rules, {WORDS: _prompts()})


def test_a_slice_too_small_for_its_tolerance_is_refused(rules_document: dict[str, Any]) -> None:
    rules_document["duel"]["prompts"]["gain"] = 20
    rules = parse_competition(rules_document, source="test")
    with pytest.raises(AgonError, match=r"standard errors of 0\.154, more than slice_tolerance 0\.15"):
        check_bundle_numbers(rules, {WORDS: _prompts()})
