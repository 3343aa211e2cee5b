"""Loading: only tensors come from a miner, and only one-label judges with trained heads serve."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from shared.engines.hf import Policy, load_policy
from shared.engines.judges import load_judge
from shared.errors import AgonError, Rejection
from shared.protocol.evidence import NOT_TEXT

pytestmark = pytest.mark.torch


def logits(policy: Policy) -> torch.Tensor:
    with torch.inference_mode():
        return policy.prefill([(5, 6, 7)])[0]


def test_a_checkpoint_replaces_every_tensor_of_the_base(
    base_dir: Path, other_dir: Path, tmp_path: Path
) -> None:
    other, base = load_policy(base_dir, other_dir), load_policy(base_dir)
    assert not torch.equal(logits(other), logits(base))
    whole = tmp_path / "whole"
    shutil.copytree(base_dir, whole)
    shutil.copy(other_dir / "model.safetensors", whole)
    assert torch.equal(logits(other), logits(load_policy(whole)))


def test_a_miners_config_and_tokenizer_are_never_read(
    base_dir: Path, other_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(other_dir, tmp_path / "evil")
    (tmp_path / "evil" / "config.json").write_text(
        '{"auto_map": {"AutoConfig": "evil.Config"}, "vocab_size": 3}'
    )
    (tmp_path / "evil" / "tokenizer.json").write_text("not a tokenizer")
    assert torch.equal(
        logits(load_policy(base_dir, tmp_path / "evil")), logits(load_policy(base_dir, other_dir))
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_weights_are_computed_in_float32(base_dir: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: value.to(dtype) for name, value in load_file(base_dir / "model.safetensors").items()}
    save_file(tensors, tmp_path / "model.safetensors")
    assert logits(load_policy(base_dir, tmp_path)).dtype == torch.float32


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "integer"])
def test_tensors_that_do_not_fit_are_rejected(base_dir: Path, tmp_path: Path, fault: str) -> None:
    tensors = load_file(base_dir / "model.safetensors")
    name = "model.norm.weight"
    if fault == "missing":
        del tensors[name]
    elif fault == "extra":
        tensors["lm_head.weight"] = torch.zeros(2)
    elif fault == "shape":
        tensors[name] = torch.zeros(1)
    else:
        tensors[name] = tensors[name].to(torch.int32)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(Rejection) as caught:
        load_policy(base_dir, tmp_path)
    assert caught.value.code == "architecture_mismatch"


def test_a_damaged_file_is_rejected(base_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(Rejection) as caught:
        load_policy(base_dir, tmp_path)
    assert caught.value.code == "header_invalid"


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgonError) as caught:
        load_policy(tmp_path / "nowhere")
    assert caught.value.code == "base_unavailable"


def test_special_tokens_show_in_the_text(base_policy: Policy) -> None:
    plain = base_policy.text([20, 21])
    assert NOT_TEXT not in plain
    assert base_policy.text([20, 2, 21]) == base_policy.text([20]) + NOT_TEXT + base_policy.text([21])
    assert base_policy.text([]) == ""


def test_every_added_special_token_shows_in_the_text_named_or_not(base_dir: Path, tmp_path: Path) -> None:
    place = shutil.copytree(base_dir, tmp_path / "base")
    document = json.loads((place / "tokenizer.json").read_text())
    unnamed, plain = len(document["model"]["vocab"]) - 2, len(document["model"]["vocab"]) - 1
    words = {index: word for word, index in document["model"]["vocab"].items()}
    for index, special in ((unnamed, True), (plain, False)):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        document["added_tokens"].append({"id": index, "content": words[index], "special": special, **flags})
    (place / "tokenizer.json").write_text(json.dumps(document))
    policy = load_policy(place)
    assert policy.text([20, unnamed, 21]) == policy.text([20]) + NOT_TEXT + policy.text([21])
    assert policy.text([20, 2, 21]) == policy.text([20]) + NOT_TEXT + policy.text([21])
    assert NOT_TEXT not in policy.text([20, plain, 21])


def test_a_judge_scores_pairs_alike_in_any_batch(judge_dir: Path) -> None:
    judge = load_judge(judge_dir)
    pairs = [("what is honey", "sweet"), ("why", "because it is so"), ("a", "b c d e f g h i j k l")]
    assert judge.score(pairs) == pytest.approx([judge.score([pair])[0] for pair in pairs], abs=1e-5)


def test_a_judges_control_tokens_in_a_completion_are_only_blanks(judge_dir: Path) -> None:
    judge = load_judge(judge_dir)
    assert judge.score([("why", "it [SEP] is")]) == judge.score([("why", "it   is")])
    assert judge.score([("why", "it [S[SEP]EP] is")]) == judge.score([("why", "it [S EP] is")])


def test_a_judge_with_two_labels_is_refused(two_label_dir: Path) -> None:
    with pytest.raises(AgonError, match="2 labels"):
        load_judge(two_label_dir)


def test_a_judge_without_a_trained_head_is_refused(judge_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(judge_dir, tmp_path / "headless")
    config = BertConfig.from_pretrained(judge_dir)
    BertModel(config).save_pretrained(tmp_path / "headless")
    document = json.loads((tmp_path / "headless" / "config.json").read_text())
    (tmp_path / "headless" / "config.json").write_text(json.dumps({**document, "num_labels": 1}))
    with pytest.raises(AgonError, match="lacks trained tensors"):
        load_judge(tmp_path / "headless")


@pytest.mark.parametrize("tokens", [0, 40, 200])
def test_a_judge_with_no_tokenizer_or_another_ones_is_refused(
    judge_dir: Path, tmp_path: Path, tokens: int
) -> None:
    place = shutil.copytree(judge_dir, tmp_path / "judge")
    if tokens:
        document = json.loads((place / "tokenizer.json").read_text())
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        words = [*special, *(f"w{index}" for index in range(tokens - len(special)))]
        document["model"]["vocab"] = {word: index for index, word in enumerate(words)}
        (place / "tokenizer.json").write_text(json.dumps(document))
    else:
        for path in place.glob("tokenizer*"):
            path.unlink()
    with pytest.raises(AgonError) as caught:
        load_judge(place)
    assert caught.value.code == "judge_invalid"
