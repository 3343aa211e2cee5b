"""How judges read: padded on the right, to their own limit, and no control token of a completion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

from shared.engines.judges import blank, load_judge, own_limit
from shared.errors import AgonError
from shared.judging.families.reward_model import RewardModel, load
from shared.judging.judge import agreement_alone_and_in_batch, check_reads_whole

pytestmark = pytest.mark.torch

PAIRS = [("why", "so"), ("what is honey", "s w e e t " * 40)]


def told(judge: Path, place: Path, **fields: Any) -> Path:
    """A copy of a judge whose tokenizer's configuration says something else."""
    shutil.copytree(judge, place)
    path = place / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return place


def test_a_tokenizer_that_pads_on_the_left_is_made_to_pad_on_the_right(
    judge_dir: Path, tmp_path: Path
) -> None:
    left = told(judge_dir, tmp_path / "left", padding_side="left")
    judge, plain = RewardModel(left), RewardModel(judge_dir)
    assert agreement_alone_and_in_batch(judge, PAIRS) < 1e-4
    assert judge.reward(PAIRS) == plain.reward(PAIRS)


def test_a_judge_reads_as_far_as_it_has_positions(judge_dir: Path) -> None:
    judge = RewardModel(judge_dir)
    one, other = ("a", "b " * 400 + "c"), ("a", "b " * 400 + "d")
    assert judge.reward([one])[0] != judge.reward([other])[0], "the old limit was 256"
    assert judge.room == 512 - 3
    check_reads_whole(judge, 400, 109)
    with pytest.raises(AgonError, match="reads 509 tokens"):
        check_reads_whole(judge, 400, 110)


def test_a_tokenizers_own_limit_is_kept(judge_dir: Path, tmp_path: Path) -> None:
    assert RewardModel(told(judge_dir, tmp_path / "short", model_max_length=40)).room == 37


def test_positions_that_start_behind_the_padding_index_are_not_counted() -> None:
    config = RobertaConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=34,
        num_labels=1,
    )
    model = RobertaForSequenceClassification(config).eval()
    limit = own_limit(model)
    assert limit == 32
    model(input_ids=torch.full((1, limit), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, limit + 1), 5))


def test_special_tokens_outside_the_named_ones_are_blanked(judge_dir: Path, tmp_path: Path) -> None:
    place = shutil.copytree(judge_dir, tmp_path / "turns")
    document = json.loads((place / "tokenizer.json").read_text())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    words = document["model"]["vocab"]
    document["added_tokens"].append({"id": words["q"], "content": "q", "special": True, **flags})
    (place / "tokenizer.json").write_text(json.dumps(document))
    judge = load_judge(place)
    assert judge.score([("why", "so q so")]) == judge.score([("why", "so   so")])
    assert load_judge(judge_dir).score([("why", "so q so")]) != load_judge(judge_dir).score(
        [("why", "so   so")]
    )


def test_a_blank_makes_no_other_control_token() -> None:
    assert blank("x<a<s>b>y", ["<a b>", "<s>"]) == "x y"
    assert blank("a b", [" ", ""]) == "a b"


def test_a_reward_model_takes_no_parameters(judge_dir: Path) -> None:
    with pytest.raises(AgonError) as caught:
        load(judge_dir, {"good": "Yes"})
    assert caught.value.code == "judge_invalid"
