"""Pairs of several sources are read together, mixed by their shares, and measured apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import AgonError
from shared.judging.preferences.pairs import PreferencePair
from shared.judging.preferences.sources import (
    PairSource,
    measure_sources,
    mix,
    parse_source,
    read_sources,
)


def write(path: Path, count: int, **fields: str) -> Path:
    rows = [{"prompt": f"What is {i}?", "chosen": "good", "rejected": "bad", **fields} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_source_is_named_by_its_pairs_or_else_by_its_file(tmp_path: Path) -> None:
    facts, people = write(tmp_path / "facts.jsonl", 3, source="truth"), write(tmp_path / "people.jsonl", 2)
    found, _ = read_sources([PairSource(facts), PairSource(people)])
    assert [pair.source for pair in found.pairs] == ["truth"] * 3 + ["people"] * 2
    assert read_sources([PairSource(people), PairSource(facts)])[0].digest != found.digest


def test_one_file_keeps_its_own_digest_so_that_old_reports_know_it(tmp_path: Path) -> None:
    from shared.judging.preferences.pairs import read_pairs

    path = write(tmp_path / "people.jsonl", 2)
    assert read_sources([PairSource(path)]) == (read_pairs(path), {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.jsonl", PairSource(Path("a.jsonl"))), ("a=b.jsonl=0.5", PairSource(Path("a=b.jsonl"), 0.5))],
)
def test_a_share_stands_behind_the_last_equals_sign(text: str, expected: PairSource) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize("text", ["a=0", "a=-1", "a=many", "a=nan", "a=17", "a="])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AgonError) as caught:
        parse_source(text)
    assert caught.value.code == "usage"


def test_shares_say_how_often_a_pair_comes(tmp_path: Path) -> None:
    sources = [
        PairSource(write(tmp_path / "a.jsonl", 400)),
        PairSource(write(tmp_path / "b.jsonl", 400), 2.5),
    ]
    file, shares = read_sources(sources)
    mixed = mix(file.pairs, shares, seed=1)
    counts = {name: sum(pair.source == name for pair in mixed) for name in ("a", "b")}
    assert counts["a"] == 400
    assert 950 < counts["b"] < 1050
    assert mix(file.pairs, shares, seed=1) == mixed


def test_each_source_is_measured_alone() -> None:
    pairs = [PreferencePair(f"p{i}", "good", "bad", "truth" if i < 6 else "style") for i in range(10)]
    pairs.append(PreferencePair("one", "good", "bad", "lonely"))
    rewards = [reward for i in range(11) for reward in ((1.0, 0.0) if i < 6 else (0.0, 1.0))]
    found = measure_sources(rewards, pairs)
    assert found.whole.pairs == 11
    assert {name: one and one.accuracy.value for name, one in found.sources.items()} == {
        "truth": 1.0,
        "style": 0.0,
        "lonely": None,
    }


def test_the_share_of_a_single_file_counts_too(tmp_path: Path) -> None:
    file, shares = read_sources([PairSource(write(tmp_path / "a.jsonl", 10), 2.0)])
    assert len(mix(file.pairs, shares, seed=1)) == 20
