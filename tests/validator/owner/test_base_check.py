"""A base that no honest miner could train or submit from is refused at the build, by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.errors import AgonError
from shared.protocol.competition import Competition
from shared.protocol.loader import parse_competition, read_rules
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName
from tests.fixtures.models import CHAT, STOP
from validator.owner.base_check import check_base

pytestmark = pytest.mark.torch

RULES = Path(__file__).parents[2] / "rules.toml"
Spoil = Callable[[Path], None]


def rules_with(stop_ids: tuple[int, ...] = (STOP,), **architecture: Any) -> Competition:
    document = read_rules(RULES)
    document["architecture"] |= {"limits": {**document["architecture"]["limits"], "bytes": 10_000_000}}
    document["architecture"] |= architecture
    limits = {"prompt_tokens": 200, "new_tokens": 12}
    document["sampling"] |= {"limits": limits, "stop_ids": list(stop_ids)}
    return parse_competition(document, source="test")


@pytest.fixture
def base(base_dir: Path, tmp_path: Path) -> Path:
    return shutil.copytree(base_dir, tmp_path / "base")


def refusal(base: Path, rules: Competition | None = None, prompts: tuple[Prompt, ...] = ()) -> AgonError:
    with pytest.raises(AgonError) as caught:
        check_base(base, rules or rules_with(), prompts)
    return caught.value


def in_config(**fields: Any) -> Spoil:
    def spoil(base: Path) -> None:
        path = base / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


def in_template(text: str) -> Spoil:
    return lambda base: (base / "chat_template.jinja").write_text(text) and None


def in_tokenizer(**fields: Any) -> Spoil:
    def spoil(base: Path) -> None:
        path = base / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


def in_tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Spoil:
    def spoil(base: Path) -> None:
        path = base / "model.safetensors"
        tensors = change(load_file(path))
        path.unlink()
        save_file(tensors, path, {"format": "pt"})

    return spoil


def test_a_sound_base_passes_also_behind_links_and_beside_other_files(base: Path, tmp_path: Path) -> None:
    (base / "LICENSE").write_text("free")
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in base.iterdir():
        (linked / path.name).symlink_to(path)
    check_base(
        linked, rules_with(), [Prompt(id=PromptId("a"), slice=SliceName("w"), cluster="c", text="Why?")]
    )


DATED = CHAT + "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %}"
HOURLY = "{{ strftime_now('%H') }}" + CHAT
RANDOM = "{{ range(1000) | random }}" + CHAT
SILENT = "{% for message in messages if message.role == 'user' %}{{ message.content }}<|end|>{% endfor %}"
OTHER_END = CHAT.replace("<|end|>", "<|start|>")
NO_END = "{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(in_config(architectures=["GPT2LMHeadModel"]), "architecture.family", id="family"),
        pytest.param(in_config(architectures=None), "architecture.family", id="no family"),
        pytest.param(in_config(max_position_embeddings=64), "reads 64 tokens", id="positions"),
        pytest.param(in_config(vocab_size=100), "embeddings of 100", id="tokenizer too large"),
        pytest.param(in_config(auto_map={"AutoConfig": "evil.Config"}), "'auto_map'", id="custom code"),
        pytest.param(in_template(DATED), "reads a clock", id="dated template"),
        pytest.param(in_template(HOURLY), "reads a clock", id="hourly template"),
        pytest.param(in_template(RANDOM), "draws lots", id="random template"),
        pytest.param(in_template(SILENT), "leaves out", id="template without assistant"),
        pytest.param(in_template("{{ raise_exception('no chat') }}"), "cannot render", id="template raises"),
        pytest.param(in_template("{% for %}"), "cannot render", id="template is broken"),
        pytest.param(in_template(OTHER_END), "ends a turn with '<|start|>', 2", id="another end of turn"),
        pytest.param(in_template(NO_END), "with no token", id="no end of turn"),
        pytest.param(in_tokenizer(eos_token="<|pad|>"), "eos_token is '<|pad|>', 0", id="another eos_token"),
        pytest.param(in_tokenizer(eos_token=None), "no end token", id="no eos_token"),
        pytest.param(
            lambda base: (base / "chat_template.jinja").unlink(), "no chat template", id="no template"
        ),
        pytest.param(
            in_tensors(lambda tensors: {name.removeprefix("model."): t for name, t in tensors.items()}),
            "names may lack their prefix",
            id="no prefix",
        ),
        pytest.param(
            in_tensors(lambda tensors: {n: t for n, t in tensors.items() if n != "model.norm.weight"}),
            "lacks the tensors ['model.norm.weight']",
            id="a tensor is missing",
        ),
        pytest.param(
            in_tensors(lambda tensors: tensors | {"more.weight": torch.ones(3)}),
            "more.weight",
            id="one too many",
        ),
        pytest.param(
            in_tensors(lambda tensors: {name: t.double() for name, t in tensors.items()}),
            "F64",
            id="dtype F64",
        ),
        pytest.param(
            in_tensors(lambda tensors: {name: t * 1000 for name, t in tensors.items()}),
            "the rules refuse their own base: tensor",
            id="weights beyond max_abs",
        ),
    ],
)
def test_what_no_challenger_could_pass_or_use_is_refused(base: Path, spoil: Spoil, told: str) -> None:
    spoil(base)
    error = refusal(base)
    assert error.code == "base_invalid", error
    assert told in error.message
    assert len(error.message) < 500 and error.help


def test_a_template_may_mention_the_clock_where_no_chat_of_ours_reads_it(base: Path) -> None:
    in_template("{% if tools %}{{ strftime_now('%Y') }}{% endif %}" + CHAT)(base)
    check_base(base, rules_with(), ())


def test_stop_ids_must_be_tokens_and_hold_the_end_of_turn(base: Path) -> None:
    assert "names 5000, -1, no token" in refusal(base, rules_with((STOP, 5000, -1))).message
    error = refusal(base, rules_with((7, 8)))
    assert "ends a turn with '<|end|>', 1" in error.message and "(7, 8)" in error.message
    assert "add 1 to sampling.stop_ids" in error.help


def test_the_bases_own_dtype_must_be_allowed(base: Path) -> None:
    narrow = rules_with(dtypes=("bfloat16",))
    error = refusal(base, narrow)
    assert error.message == "the base is stored in float32, but architecture.dtypes allows bfloat16 only"
    assert "architecture.dtypes" in error.help
    in_tensors(lambda tensors: {name: t.to(torch.bfloat16) for name, t in tensors.items()})(base)
    check_base(base, narrow, ())


def test_a_base_larger_than_its_own_limit_is_refused(base: Path) -> None:
    limits = {"bytes": 10_000, "files": 8, "max_abs": 100.0, "norm_ratio": 4.0}
    error = refusal(base, rules_with(limits=limits))
    assert error.code == "base_invalid" and "the limit is 10000" in error.message


def test_all_prompts_beyond_the_token_limit_are_told_together(base: Path) -> None:
    prompts = tuple(
        Prompt(id=PromptId(f"p{i}"), slice=SliceName("w"), cluster=f"c{i}", text="zq" * (i * 60 + 1))
        for i in range(4)
    )
    error = refusal(base, prompts=prompts)
    assert error.code == "prompts_invalid" and "2 faults" in error.message
    assert "prompt p2 has 2" in error.message and "prompt p3 has 3" in error.message


def test_a_directory_without_a_base_is_unavailable(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "base_unavailable"
