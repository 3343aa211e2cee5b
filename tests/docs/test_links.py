"""What the pages point at is there: files, headings, tests, and the tree in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PACKAGES = ("miner", "validator", "shared", "localnet")
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
TREE = re.compile(r"## What is where\n.*?```text\n(.*?)```", re.DOTALL)
KIND = re.compile(r"# .+\n\n\*(?:Tutorial|How-to|Reference|Explanation)\.\* \w")
LEFT_OUT = {"__pycache__", "dist", "build"}


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name)
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    for file, name in TEST.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / file).is_file(), file
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_every_page_is_in_the_readme_or_the_index_of_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []
    results = ROOT / "docs" / "results"
    index = (results / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in results.glob("*.md") if page.name != "README.md"]
    assert [name for name in pages if f"({name})" not in index] == []


def test_every_page_says_in_its_first_line_what_kind_it_is_and_for_whom() -> None:
    pages = [ROOT / "AGENTS.md", *(ROOT / "docs").rglob("*.md")]
    assert [_name(page) for page in pages if not KIND.match(page.read_text(encoding="utf-8"))] == []


def test_every_word_of_the_glossary_has_one_line() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    words = [word for heads in words for word in heads.split(", ") if word not in {"word", "---"}]
    assert len(words) == len(set(words)) > 50
    named = re.search(r"one line for each word: ([^.]+) and so", (ROOT / "AGENTS.md").read_text("utf-8"))
    assert named is not None
    assert sorted(set(re.split(r",\s+|\s+and\s+", named[1].strip())) - set(words)) == []


def test_the_tree_in_the_readme_is_the_tree() -> None:
    listed = _tree()
    assert [path for path in listed if not (ROOT / path).exists()] == []
    assert [path for path, phrase in listed.items() if not phrase] == []
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert sorted(folders - LEFT_OUT - set(listed)) == []
    inner = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).iterdir()
        if path.is_dir() and path.name not in LEFT_OUT
    }
    assert sorted(inner - set(listed)) == []


def _tree() -> dict[str, str]:
    """Paths of the tree with their phrases; two spaces of indent mean one folder deeper."""
    found = TREE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    listed: dict[str, str] = {}
    parents: list[str] = []
    for line in found[1].splitlines():
        indent = len(line) - len(line.lstrip())
        name, _, phrase = line.strip().partition(" ")
        parents = [*parents[: indent // 2], name.rstrip("/")]
        listed["/".join(parents)] = phrase.strip()
    return listed
