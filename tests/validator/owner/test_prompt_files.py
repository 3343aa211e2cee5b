"""Every fault of an owner's prompt files is told at once, by file and line, under one code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AgonError
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName
from validator.owner.prompt_files import PromptFiles, check_clusters, read_prompt_files, read_prompts

WORDS, FACTS = SliceName("words"), SliceName("facts")


def row(index: int, name: str = WORDS, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{name}-{index}",
        "slice": name,
        "cluster": f"c{index}",
        "text": f"Say {name} {index}.",
    } | fields


def write(path: Path, rows: list[Any]) -> Path:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Brought:
    """Sound files, to be spoilt one at a time."""

    def __init__(self, root: Path) -> None:
        self.words = write(root / "words.jsonl", [row(1), row(2)])
        self.facts = write(root / "facts.jsonl", [row(1, FACTS), row(2, FACTS)])
        self.reference = write(root / "reference.jsonl", [row(11), row(11, FACTS)])
        self.public = write(root / "public.jsonl", [row(21), row(21, FACTS)])

    def read(self) -> PromptFiles:
        pools = {WORDS: self.words, FACTS: self.facts}
        return read_prompt_files(pools, self.reference, self.public, (WORDS, FACTS))

    def refusal(self) -> str:
        with pytest.raises(AgonError) as caught:
            self.read()
        assert caught.value.code == "prompts_invalid"
        assert '"cluster"' in caught.value.help
        return caught.value.message


@pytest.fixture
def brought(tmp_path: Path) -> Brought:
    return Brought(tmp_path)


def test_sound_files_are_read_whole_with_a_byte_order_mark_and_blank_lines(brought: Brought) -> None:
    plain = brought.read()
    for path in (brought.words, brought.reference, brought.public):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n \t\r\n"))
    assert brought.read() == plain
    assert [len(plain.pools[WORDS]), len(plain.reference), len(list(plain.every()))] == [2, 2, 8]
    assert read_prompts(brought.reference, (WORDS, FACTS)) == plain.reference


def test_the_faults_of_all_lines_of_all_files_are_told_together(brought: Brought) -> None:
    bare = {"text": "Say something."}
    write(brought.words, [row(1), bare, "{", row(2, extra=1), row(3, params=["words"])])
    write(brought.public, [row(21, slice="songs"), row(22, text=" \u3000 ")])
    message = brought.refusal()
    for part in (
        "words.jsonl line 2: id: Field required; slice: Field required; cluster: Field required",
        "words.jsonl line 3: document: Invalid JSON",
        "words.jsonl line 4: extra:",
        "words.jsonl line 5: params",
        "public.jsonl line 1: slice: it is 'songs', not 'facts' or 'words'",
        "public.jsonl line 2: text: it is blank",
    ):
        assert part in message


def test_a_thousand_faults_are_twenty_lines_and_a_count(brought: Brought) -> None:
    write(brought.words, [{"text": "x" * 5000}] * 1000)
    message = brought.refusal()
    assert "1000 faults" in message and message.endswith("and 980 more")
    assert len(message.splitlines()) == 22 and len(message) < 8000


@pytest.mark.parametrize(
    ("changed", "rows", "told"),
    [
        pytest.param(
            "words", [row(1), row(5, FACTS)], "line 2: slice: it is 'facts', not 'words'", id="slice"
        ),
        pytest.param("words", [row(1), row(1, text="Else.")], "line 2: id: words-1 is that of", id="id"),
        pytest.param(
            "words", [row(1, id="facts-2")], "facts.jsonl line 2: id: facts-2 is that", id="id, other"
        ),
        pytest.param(
            "words", [row(1), row(2, text="say  WORDS 1.")], "line 2: text: it is that of", id="text"
        ),
        pytest.param("words", [row(1, text="Say words 21.")], "stands in", id="held out and public"),
        pytest.param("words", [row(1, text=" SAY words 11.")], "stands in", id="held out and reference"),
        pytest.param("reference", [row(11)], "no prompt of slice 'facts'", id="slice without reference"),
        pytest.param("public", ["", " "], "public.jsonl: it holds no prompt", id="empty"),
        pytest.param("words", [row(1, params={"answer": 2**60})], "no canonical form", id="huge number"),
        pytest.param("words", ['{"id": "\\ud800"}'], "line 1", id="lone surrogate"),
    ],
)
def test_each_fault_names_its_place(brought: Brought, changed: str, rows: list[Any], told: str) -> None:
    write(getattr(brought, changed), rows)
    assert told in brought.refusal()


def test_a_file_that_is_not_there_and_one_that_is_no_text_are_told(brought: Brought) -> None:
    brought.words.unlink()
    brought.facts.write_bytes(b"\xff\xfe\n")
    message = brought.refusal()
    assert "words.jsonl: No such file" in message and "facts.jsonl line 1" in message


def pool(texts: list[str], clusters: int | None = None) -> list[Prompt]:
    return [
        Prompt(id=PromptId(f"p{i}"), slice=WORDS, cluster=f"c{i % (clusters or len(texts))}", text=text)
        for i, text in enumerate(texts)
    ]


TEMPLATED = [f"What does a thing called number {i} look like?" for i in range(40)]
DIFFERENT = [" ".join(f"{letter}{i}" for letter in "abcdefg") for i in range(40)]


def test_clusters_that_only_number_prompts_of_one_template_are_refused() -> None:
    with pytest.raises(AgonError, match="40 of 40 share a template") as caught:
        check_clusters(WORDS, pool(TEMPLATED))
    assert caught.value.code == "prompts_invalid"


def test_clusters_of_one_are_told_where_the_texts_differ_and_fine_where_they_group() -> None:
    told = check_clusters(WORDS, pool(DIFFERENT))
    assert told is not None and "cluster of its own" in told.message
    assert check_clusters(WORDS, pool(TEMPLATED, clusters=8)) is None
    assert check_clusters(WORDS, pool(TEMPLATED[:16])) is None
