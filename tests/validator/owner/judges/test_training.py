"""Training of judges: it learns what pairs say, reads texts as scoring does, and writes all or nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification
from typer.testing import CliRunner

from shared.engines.judges import JudgeReader, load_judge
from shared.engines.tiny import build_tiny_trunk
from shared.errors import AgonError
from shared.judging.families.reward_model import RewardModel
from shared.judging.preferences.bradley_terry import PairCollator, read_rows
from shared.judging.preferences.pairs import PreferencePair, read_pairs
from shared.types import JudgeName
from validator.cli.main import app
from validator.owner.judges.coefficients import weigh_judges
from validator.owner.judges.evaluate import unseen_pairs
from validator.owner.judges.report import TrainingConfig, TrainingReport
from validator.owner.judges.training import train
from validator.owner.preflight import check_judges

pytestmark = pytest.mark.torch

THINGS = ("lantern", "river", "bridge", "garden", "violin", "market")


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tiny") / "trunk"
    build_tiny_trunk(1, target)
    return target


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pairs of equal length: people like answers that say yes, wherever the word stands."""
    rng = random.Random(1)
    rows = []
    for index in range(120):
        thing = rng.choice(THINGS)
        words = [thing, "is", rng.choice(THINGS), "and", rng.choice(THINGS)]
        place = rng.randrange(len(words))
        chosen, rejected = (" ".join([*words[:place], word, *words[place:]]) for word in ("yes", "not"))
        rows.append({"prompt": f"Is a {thing} number {index}?", "chosen": chosen, "rejected": rejected})
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def trained(
    trunk: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainingReport]:
    """A judge trained as a whole, and the report."""
    out = tmp_path_factory.mktemp("judge") / "out"
    config = TrainingConfig(epochs=4, learning_rate=5e-3, batch=8, max_tokens=32, holdout=0.3, seed=1)
    return out, train(read_pairs(pairs), trunk, out, config)


def test_a_judge_learns_what_people_prefer_and_beats_length(trained: tuple[Path, TrainingReport]) -> None:
    _, report = trained
    assert report.holdout.accuracy.value > 0.9
    assert report.holdout.useful
    assert (report.train_pairs + report.holdout_pairs, report.dropped_pairs) == (120, 0)
    first, last = report.curve[0], report.curve[-1]
    assert first.epoch == 0 and last.holdout_loss is not None and first.holdout_loss is not None
    assert last.holdout_loss < first.holdout_loss
    assert last.holdout_accuracy == pytest.approx(report.holdout.accuracy.value)


def test_what_is_written_is_whole_and_loads_as_a_judge(
    trained: tuple[Path, TrainingReport], pairs: Path
) -> None:
    out, report = trained
    assert sorted(path.name for path in out.iterdir()) == ["judge", "learning_curve.png", "report.json"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert TrainingReport.model_validate_json((out / "report.json").read_bytes()) == report
    assert (out / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    unseen = unseen_pairs(out / "judge", read_pairs(pairs))
    assert len(unseen) == report.holdout_pairs


def test_training_reads_texts_as_scoring_does(trained: tuple[Path, TrainingReport]) -> None:
    """The segments that TRL leaves out are there, and a long prompt loses its oldest words."""
    out, _ = trained
    tokenizer: Any = AutoTokenizer.from_pretrained(out / "judge")
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    long = PreferencePair(" ".join(f"word{index}" for index in range(200)), "the end", "no end")
    rows = read_rows([long, PreferencePair("Why?", "So.", "Not so.")], tokenizer)
    batch = PairCollator(tokenizer)(rows)
    read = JudgeReader(tokenizer).encode(
        [(long.prompt, "the end"), ("Why?", "So."), (long.prompt, "no end"), ("Why?", "Not so.")]
    )
    assert set(batch) == set(read) and "token_type_ids" in batch
    assert all(torch.equal(batch[name], read[name]) for name in read)
    assert read["input_ids"].shape[1] == 32
    assert "the end" in tokenizer.decode(read["input_ids"][0])
    assert "word199" in tokenizer.decode(read["input_ids"][0]).replace(" ", "")


def test_the_head_alone_is_trained_on_a_frozen_trunk(trunk: Path, pairs: Path, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=2, learning_rate=1e-2, max_tokens=32, head_only=True, seed=1)
    reports = [train(read_pairs(pairs), trunk, tmp_path / name, config) for name in ("a", "b")]
    assert reports[0] == reports[1], "a seed fixes the judge"
    assert reports[0].trained_weights == 64 * 64 + 64 + 64 + 1
    before = BertForSequenceClassification.from_pretrained(trunk, num_labels=1).bert.encoder.state_dict()
    after = BertForSequenceClassification.from_pretrained(tmp_path / "a" / "judge").bert.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_failed_training_leaves_nothing_behind(trunk: Path, pairs: Path, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=1, learning_rate=1e30, max_tokens=32, head_only=True)
    with pytest.raises(AgonError) as caught:
        train(read_pairs(pairs), trunk, tmp_path / "out", config)
    assert caught.value.code == "training_failed"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_the_way_and_a_backbone_that_is_none_are_refused(
    trunk: Path, pairs: Path, tmp_path: Path
) -> None:
    source = read_pairs(pairs)
    for backbone, out, code in ((trunk, tmp_path, "usage"), (tmp_path, tmp_path / "out", "base_unavailable")):
        with pytest.raises(AgonError) as caught:
            train(source, backbone, out, TrainingConfig(max_tokens=32))
        assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_build_takes_a_trained_judge_and_names_one_that_rewards_all_alike(
    trained: tuple[Path, TrainingReport], judge_dir: Path, tmp_path: Path
) -> None:
    model: Any = BertForSequenceClassification.from_pretrained(judge_dir)
    model.classifier.weight.data.zero_()
    model.save_pretrained(tmp_path / "flat")
    AutoTokenizer.from_pretrained(judge_dir).save_pretrained(tmp_path / "flat")
    out, _ = trained
    with pytest.raises(AgonError, match="judge flat gives every text") as caught:
        check_judges({JudgeName("made"): out / "judge", JudgeName("flat"): tmp_path / "flat"})
    assert caught.value.code == "judge_invalid"


def test_judges_weigh_what_they_know_and_one_that_knows_nothing_is_refused(
    trained: tuple[Path, TrainingReport], pairs: Path, judge_dir: Path
) -> None:
    out, report = trained
    source = read_pairs(pairs)
    assert weigh_judges({JudgeName("made"): out / "judge"}, source) == {
        JudgeName("made"): pytest.approx(report.holdout.accuracy.value - 0.5, abs=1e-4)
    }
    with pytest.raises(AgonError, match="judge random agrees with people on") as caught:
        weigh_judges({JudgeName("made"): out / "judge", JudgeName("random"): judge_dir}, source)
    assert caught.value.code == "judge_invalid"


def test_commands_train_and_evaluate(trunk: Path, pairs: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    asked = ["judge", "train", "--pairs", str(pairs), "--trunk", str(trunk), "--out", str(tmp_path / "out")]
    done = run(app, [*asked, "--head-only", "--epochs", "1", "--max-tokens", "32", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    measured = run(
        app, ["judge", "evaluate", str(tmp_path / "out" / "judge"), "--pairs", str(pairs), "--json"]
    )
    assert json.loads(measured.stdout) == report["holdout"], "pairs that trained the judge are left out"
    assert run(app, asked).exit_code == 2
    assert run(app, ["judge", "evaluate", str(tmp_path), "--pairs", str(pairs)]).exit_code == 1


def test_a_causal_backbone_becomes_a_judge_too(base_dir: Path, pairs: Path, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=1, max_tokens=64, batch=40)
    train(read_pairs(pairs), base_dir, tmp_path / "out", config)
    assert load_judge(tmp_path / "out" / "judge").score([("why", "so")]) == RewardModel(
        tmp_path / "out" / "judge"
    ).reward([("why", "so")])
