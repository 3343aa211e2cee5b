"""Pair files: right as a whole or refused at a named line, and no prompt on both sides of a split."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AgonError
from shared.judging.preferences.pairs import PreferencePair, read_pairs, split_pairs

GOOD = '{"prompt": "Why?", "chosen": "So.", "rejected": "No."}'
TALK = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Why?\n\nAssistant:"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_plain_gzipped_and_transcript_files_are_read(tmp_path: Path) -> None:
    one_turn = {
        "chosen": "\n\nHuman: Why?\n\nAssistant: So.",
        "rejected": "\n\nHuman: Why?\n\nAssistant: No.",
    }
    talk = {"chosen": TALK + " Because.", "rejected": TALK + " Go.\n\nHuman: No!\n\nAssistant: Yes."}
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([GOOD, json.dumps(one_turn), "", json.dumps(talk)]).encode()))
    found = read_pairs(path)
    assert found.pairs == (
        PreferencePair("Why?", "So.", "No."),
        PreferencePair("Why?", "So.", "No."),
        PreferencePair(
            TALK.removesuffix("\n\nAssistant:").strip(), "Because.", "Go.\n\nHuman: No!\n\nAssistant: Yes."
        ),
    )
    assert (found.dropped, len(found.digest)) == (0, 71)


def test_lines_without_a_preference_are_dropped_and_counted(tmp_path: Path) -> None:
    same = '{"prompt": "Why?", "chosen": "So.", "rejected": " So. "}'
    empty = '{"prompt": "Why?", "chosen": "So.", "rejected": ""}'
    found = read_pairs(write(tmp_path / "p.jsonl", GOOD, same, empty))
    assert (len(found.pairs), found.dropped) == (1, 2)


def test_lists_of_one_message_are_read_as_texts_and_a_source_is_kept(tmp_path: Path) -> None:
    listed = {
        "prompt": [{"role": "user", "content": "Why?"}],
        "chosen": [{"role": "assistant", "content": "So."}],
        "rejected": "No.",
        "source": "people",
    }
    found = read_pairs(write(tmp_path / "p.jsonl", json.dumps(listed)))
    assert found.pairs == (PreferencePair("Why?", "So.", "No.", "people"),)


def test_a_file_without_any_preference_says_so(tmp_path: Path) -> None:
    same = '{"prompt": "Why?", "chosen": "So.", "rejected": "So."}'
    with pytest.raises(AgonError, match="holds no pair: each of its 2 lines") as caught:
        read_pairs(write(tmp_path / "p.jsonl", same, same))
    assert caught.value.code == "data_invalid"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '"text"',
        "[" * 5_000,
        '{"prompt": "Why?", "chosen": "So."}',
        '{"prompt": "Why?", "chosen": "So.", "rejected": 3}',
        '{"prompt": [{"content": "a"}, {"content": "b"}], "chosen": "So.", "rejected": "No."}',
        '{"prompt": [{"role": "user"}], "chosen": "So.", "rejected": "No."}',
        '{"prompt": " ", "chosen": "So.", "rejected": "No."}',
        '{"chosen": "So.", "rejected": "No."}',
        json.dumps({"chosen": "\n\nHuman: A\n\nAssistant: x", "rejected": "\n\nHuman: B\n\nAssistant: y"}),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(AgonError, match="line 3: ") as caught:
        read_pairs(write(tmp_path / "p.jsonl", GOOD, "", line, GOOD))
    assert caught.value.code == "data_invalid"


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08broken", b"\xff\xfe", b"\n\n"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p").write_bytes(data)
    for path in (tmp_path / "p", tmp_path / "absent"):
        with pytest.raises(AgonError) as caught:
            read_pairs(path)
        assert caught.value.code == "data_invalid"


@given(st.integers(20, 60), st.integers(0, 2**32), st.floats(0.2, 0.8))
def test_no_prompt_is_on_both_sides(count: int, seed: int, share: float) -> None:
    pairs = [
        PreferencePair(
            f"Prompt  {index // 3}".upper() if index % 3 else f"prompt {index // 3}", "a", str(index)
        )
        for index in range(3 * count)
    ]
    training, held = split_pairs(pairs, share, seed)
    assert {pair.cluster for pair in training}.isdisjoint(pair.cluster for pair in held)
    assert sorted([*training, *held], key=pairs.index) == pairs


def test_a_prompt_keeps_its_side_when_pairs_are_added() -> None:
    pairs = [PreferencePair(f"prompt {index}", "a", "b") for index in range(200)]
    few, many = split_pairs(pairs[:100], 0.3, 1)[1], split_pairs(pairs, 0.3, 1)[1]
    assert set(few) == set(many) & set(pairs[:100])
    assert split_pairs(pairs, 0.3, 2)[1] != many


@pytest.mark.parametrize("share", [1e-9, 0.5, 1 - 1e-9])
def test_three_prompts_can_always_be_split_and_two_never(share: float) -> None:
    pairs = [PreferencePair(f"prompt {index}", "a", "b") for index in range(3)]
    for seed in range(20):
        training, held = split_pairs(pairs, share, seed)
        assert (len(training), len(held)) == (1, 2)
    with pytest.raises(AgonError, match="2 pairs of 2 prompts cannot be split") as caught:
        split_pairs(pairs[:2], share, 0)
    assert caught.value.code == "data_invalid"


def test_published_human_pairs_are_read() -> None:
    folder = os.environ.get("AGON_TEST_DATA")
    path = Path(folder or ".") / "hh-harmless-pairs.jsonl.gz"
    if folder is None or not path.is_file():
        pytest.skip("AGON_TEST_DATA does not name a directory with hh-harmless-pairs.jsonl.gz")
    found = read_pairs(path)
    assert (len(found.pairs), found.dropped) == (1496, 4)
    assert len({pair.cluster for pair in found.pairs}) > 1400
