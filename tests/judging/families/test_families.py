"""Families of judges: dispatched by kind, and one file is enough for another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import shared
from shared.errors import AgonError
from shared.judging.families import FAMILIES, Server, load_family
from shared.judging.judge import OneOf, agreement_alone_and_in_batch, check_reads_whole
from shared.judging.panel import Panel
from shared.protocol.competition import JudgeTerm
from shared.protocol.wire import sha256_digest
from shared.sandbox.client import JudgeChild
from shared.types import JudgeName, RoundNumber

ANY = sha256_digest(b"any")
WORDS = JudgeName("words")
PAIRS = [("Why?", "because it is so"), ("Why?", "")]
FAMILY = '''
"""`word-count`: the number of words, less what the rules take off."""

class WordCount:
    def __init__(self, less):
        self._less = less

    def reward(self, pairs):
        return [float(len(completion.split()) - self._less) for _, completion in pairs]

def load(directory, params):
    return WordCount(params["less"])
'''


def term(name: str, kind: str, **params: object) -> JudgeTerm:
    return JudgeTerm(
        name=JudgeName(name),
        kind=kind,
        params=params,  # type: ignore[arg-type]
        digest=ANY,
        from_round=RoundNumber(0),
    )


def test_the_three_families_are_known_and_no_other() -> None:
    assert list(FAMILIES) == ["likelihood", "reference-pairwise", "reward-model"]
    assert [kind for kind in FAMILIES if FAMILIES[kind].remote] == ["reference-pairwise"]


@pytest.mark.parametrize("kind", ["oracle", "__init__", "reward_model", "reward-model.load", ""])
def test_an_unknown_kind_is_refused_with_the_names_of_the_known_ones(tmp_path: Path, kind: str) -> None:
    with pytest.raises(AgonError, match="likelihood, reference-pairwise, reward-model") as caught:
        load_family(kind, tmp_path, {})
    assert caught.value.code == "judge_invalid"


def test_one_more_file_is_one_more_family_in_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child runs from a copy of the tree that differs by one file."""
    source = Path(shared.__file__).parent
    copied = shutil.copytree(source, tmp_path / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "judging" / "families" / "word_count.py").write_text(FAMILY)
    monkeypatch.setattr(shared, "__file__", str(copied / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    with JudgeChild({WORDS: tmp_path}, terms=[term("words", "word-count", less=1)]) as child:
        assert child.reward(WORDS, PAIRS) == [3.0, -1.0]
        assert child.room(WORDS) is None


def test_the_child_asks_no_server(tmp_path: Path) -> None:
    with (
        JudgeChild(
            {WORDS: tmp_path}, terms=[term("words", "reference-pairwise", model="m", references={})]
        ) as child,
        pytest.raises(AgonError, match="no address is set") as caught,
    ):
        child.reward(WORDS, PAIRS)
    assert caught.value.code == "judge_invalid"


class Counting:
    """A child that rewards by length and says that it reads ten tokens."""

    def reward(self, judge: JudgeName, pairs: object) -> list[float]:
        return [float(len(completion)) for _, completion in pairs]  # type: ignore[attr-defined]

    def room(self, judge: JudgeName) -> int:
        return 10


def test_a_panel_asks_the_child_for_local_judges_and_a_server_for_the_others(tmp_path: Path) -> None:
    with pytest.raises(AgonError, match="no address is set"):
        Panel(
            Counting(),
            [term("far", "reference-pairwise", model="m", references={})],
            {JudgeName("far"): tmp_path},
        )
    terms = [term("near", "reward-model"), term("far", "reference-pairwise", model="m", references={})]
    places = {one.name: tmp_path for one in terms}
    panel = Panel(Counting(), terms, places, Server("http://127.0.0.1:9/v1"))
    try:
        assert panel.reward(JudgeName("near"), PAIRS) == [16.0, 0.0]
        assert (panel.room(JudgeName("near")), panel.room(JudgeName("far"))) == (10, None)
        with pytest.raises(AgonError, match="no reference completion"):
            panel.reward(JudgeName("far"), PAIRS)
    finally:
        panel.close()


class Neighbour:
    """A judge that a text's neighbours change."""

    def reward(self, pairs: object) -> list[float]:
        return [float(len(pairs))] * len(pairs)  # type: ignore[arg-type]


def test_a_judge_that_scores_a_text_by_its_neighbours_is_refused() -> None:
    with pytest.raises(AgonError, match="alone and in a batch") as caught:
        agreement_alone_and_in_batch(Neighbour(), PAIRS)
    assert caught.value.code == "judge_invalid"
    assert agreement_alone_and_in_batch(OneOf(Counting(), WORDS), PAIRS) == 0.0


def test_a_judge_that_cannot_read_what_the_rules_allow_is_refused() -> None:
    reader = OneOf(Counting(), WORDS)
    check_reads_whole(reader, 6, 4)
    with pytest.raises(AgonError, match=r"reads 10 tokens .* 6 \+ 5") as caught:
        check_reads_whole(reader, 6, 5)
    assert caught.value.code == "judge_invalid"
