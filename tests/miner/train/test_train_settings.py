"""Settings of recipes: a file and flags are read by one model, and what was read is written back."""

from __future__ import annotations

from pathlib import Path

import pytest

from miner.train.settings import TrainConfig, described, differences, read_config, to_toml
from shared.errors import AgonError


class Inner(TrainConfig):
    """Settings of a stage."""

    chats: Path
    """Where the "chats" are."""


class Outer(TrainConfig):
    """Settings of a recipe with a stage."""

    stage: Inner
    keep: bool = False
    """Whether to keep it."""


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('learning_rate = 1e-3\nseed = 7\nkeep = true\n[stage]\nchats = "a.jsonl"\nbatch = 2\n')
    read = read_config(Outer, file, ["--seed", "8", "--stage.learning-rate=0.5", "--stage.batch", "3"])
    assert read == Outer(
        learning_rate=1e-3,
        seed=8,
        keep=True,
        stage=Inner(chats=Path("a.jsonl"), learning_rate=0.5, batch=3),
    )


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    config = Outer(stage=Inner(chats=Path('odd "name"\n.jsonl'), threads=2), learning_rate=3e-5)
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(config))
    assert read_config(Outer, file, []) == config


@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    [
        (["--learning-rate", "2"], "settings_invalid", "learning_rate"),
        (["--learning-rate", "nan"], "settings_invalid", "learning_rate"),
        (["--stage.batch", "x"], "settings_invalid", "stage.batch"),
        (["--speed", "3"], "settings_invalid", "speed"),
        (["--seed"], "usage", "--seed has no value"),
        (["seed", "3"], "usage", "'seed' is not a setting"),
        (["--seed", "4", "--seed.more", "3"], "settings_invalid", "seed is a value, not a section"),
    ],
)
def test_a_wrong_setting_is_named(flags: list[str], code: str, reason: str) -> None:
    with pytest.raises(AgonError, match=reason) as caught:
        read_config(Outer, None, ["--stage.chats", "a", *flags])
    assert caught.value.code == code


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff = 3")
    for file in (tmp_path / "bad.toml", tmp_path / "none.toml"):
        with pytest.raises(AgonError, match=file.name) as caught:
            read_config(Inner, file, [])
        assert caught.value.code == "settings_invalid"


def test_every_difference_is_named_and_only_those() -> None:
    old = {"recipe": "dpo", "config": {"seed": 1, "stage": {"batch": 2}}, "parent": "a"}
    new = {"recipe": "dpo", "config": {"seed": 2, "stage": {"batch": 3}}, "parent": "a"}
    assert differences(old, old) == []
    assert differences(old, new) == ["config.seed was 1 and is 2", "config.stage.batch was 2 and is 3"]


def test_every_setting_is_described_with_its_default() -> None:
    rows = described(Outer)
    assert rows["--keep"] == "Whether to keep it. [False]"
    assert rows["--stage.chats"] == 'Where the "chats" are. required'
    assert all(len(text.split()) > 1 for text in rows.values())
