"""The base of a competition, held to what every challenger has to pass, before anything is sampled.

The build calls it. A base that its own rules refuse, that no challenger's tensors fit, whose template reads
a clock or ends a turn with a token that stops nothing would cost every honest miner, so it is refused here
by name. It puts two files into a directory of its own, as challengers publish them, and writes nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NoReturn

import jinja2

from shared.checkpoints.admission import findings
from shared.checkpoints.allowlist import CONFIG_NAME, WEIGHTS_NAME
from shared.checkpoints.headers import read_header
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.tensors import FLOAT_NAMES, table_of
from shared.errors import AgonError, Rejection
from shared.protocol.competition import Competition
from shared.protocol.prompt import Prompt
from validator.owner.prompt_files import faults_error

MOMENTS = (datetime(2001, 2, 3, 4, 5, 6), datetime(2032, 11, 28, 17, 48, 59))
"""Two clocks that differ in everything that a template could print of them."""
RENDERINGS = 4
"""Renderings at each of them, so that a template that draws lots shows too."""
QUESTION, ANSWER = "agon asks", "agon answers"
SHOWN = 3
"""Findings that one message names."""
TEMPLATE_ERRORS = (jinja2.TemplateError, ValueError, TypeError, KeyError, AttributeError)


def check_base(base: Path, rules: Competition, prompts: Iterable[Prompt]) -> None:
    """Refuse a base that challengers, trainers or the sampler could not use; cheap checks first.

    Raises AgonError `base_invalid`, `base_unavailable` when it cannot be read, and `prompts_invalid` for
    prompts that have more tokens than the rules allow.
    """
    config = _read_config(base)
    _check_config(config, rules)
    tokenizer = _load_tokenizer(base)
    _check_vocabulary(tokenizer, config, rules)
    _check_clock(tokenizer)
    _check_turn_end(tokenizer, rules.sampling.stop_ids)
    _check_lengths(tokenizer, rules.sampling.limits.prompt_tokens, prompts)
    with tempfile.TemporaryDirectory(prefix="agon-base-") as scratch:
        published = Path(scratch)
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            _place(base / name, published / name)
        _check_admission(published, rules)
        _check_loading(base, published, rules.architecture.family)


def _read_config(base: Path) -> dict[str, Any]:
    try:
        config = json.loads((base / CONFIG_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AgonError("base_unavailable", f"{base / CONFIG_NAME} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise AgonError("base_unavailable", f"{base / CONFIG_NAME} is not a JSON object")
    return config


def _check_config(config: dict[str, Any], rules: Competition) -> None:
    family, named = rules.architecture.family, config.get("architectures")
    if named != [family]:
        _refuse(
            f"architecture.family is {family!r}, but {CONFIG_NAME} of the base names {named}",
            help="set architecture.family to the class that config.json names, alone, or use another base",
        )
    limits, columns = rules.sampling.limits, config.get("max_position_embeddings")
    needed = limits.prompt_tokens + limits.new_tokens
    if isinstance(columns, int) and columns < needed:
        _refuse(
            f"the base reads {columns} tokens; prompt_tokens and new_tokens together are {needed}",
            help="lower sampling.limits.prompt_tokens or sampling.limits.new_tokens",
        )


def _load_tokenizer(base: Path) -> Any:
    from transformers import AutoTokenizer

    load: Any = AutoTokenizer.from_pretrained  # untyped in transformers
    try:
        tokenizer = load(base, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise AgonError("base_unavailable", f"cannot load the tokenizer at {base}: {error}") from error
    if tokenizer.chat_template is None:
        _refuse(
            "the base's tokenizer has no chat template",
            help="use an instruction-tuned base, or put its chat_template.jinja beside tokenizer.json",
        )
    return tokenizer


def _check_vocabulary(tokenizer: Any, config: dict[str, Any], rules: Competition) -> None:
    rows = config.get("vocab_size")
    if not isinstance(rows, int):
        _refuse(f"{CONFIG_NAME} of the base has no vocab_size")
    if len(tokenizer) > rows:
        _refuse(
            f"the tokenizer has {len(tokenizer)} tokens, the base has embeddings of {rows}",
            help="put the base's own tokenizer.json beside it",
        )
    known = set(tokenizer.get_vocab().values())
    unknown = [token for token in rules.sampling.stop_ids if token not in known]
    if unknown:
        _refuse(
            f"sampling.stop_ids names {_listed(unknown)}, no token of the base's vocabulary",
            help=f"the tokenizer's own end token is {tokenizer.eos_token!r}, {tokenizer.eos_token_id}",
        )


def _check_clock(tokenizer: Any) -> None:
    for chat, ask in ((_chat(), False), (_chat()[:1], True)):
        seen = {
            _render(tokenizer, chat, ask=ask, moment=moment) for moment in MOMENTS for _ in range(RENDERINGS)
        }
        if len(seen) > 1:
            _refuse(
                "the chat template renders one chat in different ways: it reads a clock or draws lots, so no"
                " completion could be drawn again",
                help="take strftime_now or the random choice out of chat_template.jinja; write a fixed date",
            )


def _check_turn_end(tokenizer: Any, stop_ids: Sequence[int]) -> None:
    """The token that ends an assistant's turn, and the one that trainers end a completion with, must stop."""
    from shared.engines.hf import special_ids

    rendered = _render(tokenizer, _chat(), ask=False, moment=MOMENTS[0])
    if QUESTION not in rendered or ANSWER not in rendered:
        _refuse("the chat template leaves out what user or assistant said")
    rest = rendered.rpartition(ANSWER)[2]
    ids = [int(token) for token in tokenizer(rest, add_special_tokens=False).input_ids]
    special = special_ids(tokenizer)
    end = next((token for token in ids if token in special), ids[0] if ids else None)
    if end is None:
        _refuse(
            "the chat template ends an assistant's turn with no token, so nothing could stop a completion"
        )
    if tokenizer.eos_token_id is None:
        _refuse(
            "the base's tokenizer has no end token, which trainers end a completion with",
            help=f"set eos_token to {tokenizer.convert_ids_to_tokens(end)!r} in tokenizer_config.json",
        )
    ends = {"the chat template ends a turn with": end, "eos_token is": int(tokenizer.eos_token_id)}
    for what, token in ends.items():
        if token not in stop_ids:
            spelling = tokenizer.convert_ids_to_tokens(token)
            _refuse(
                f"{what} {spelling!r}, {token}, which is not among sampling.stop_ids ({_listed(stop_ids)})",
                help=f"add {token} to sampling.stop_ids, or correct the tokenizer's files",
            )


def _check_lengths(tokenizer: Any, limit: int, prompts: Iterable[Prompt]) -> None:
    faults = []
    for prompt in prompts:
        chat = [{"role": "user", "content": prompt.text}]
        rendered = _render(tokenizer, chat, ask=True, moment=MOMENTS[0])
        tokens = len(tokenizer(rendered, add_special_tokens=False).input_ids)
        if tokens > limit:
            faults.append(
                f"prompt {prompt.id} has {tokens} tokens; sampling.limits.prompt_tokens allows {limit}"
            )
    if faults:
        raise faults_error(faults)


def _check_admission(published: Path, rules: Competition) -> None:
    """The base as a submission: what refuses it would refuse every challenger that stays near it."""
    architecture = rules.architecture
    try:
        table, header = table_of(published), read_header(published, WEIGHTS_NAME)
        found = findings(published, build_manifest(published), rules, table)
    except (OSError, Rejection) as error:
        raise AgonError("base_invalid", f"the base's {WEIGHTS_NAME} cannot be used: {error}") from error
    dtypes = sorted({FLOAT_NAMES[tensor.dtype] for tensor in header.values()})
    if not set(dtypes) <= set(architecture.dtypes):
        _refuse(
            f"the base is stored in {' and '.join(dtypes)}, but architecture.dtypes allows"
            f" {' and '.join(architecture.dtypes)} only",
            help="add the base's own dtype to architecture.dtypes, or store the base in one that is allowed",
        )
    if found:
        listed = "; ".join(finding.message for finding in found[:SHOWN])
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        _refuse(f"the rules refuse their own base: {listed}{more}")


def _check_loading(base: Path, published: Path, family: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from shared.engines.hf import load_policy

    help = f"save the base again with save_pretrained of {family}"
    try:
        load_policy(base, published)
    except Rejection as error:
        raise AgonError(
            "base_invalid", f"the base cannot be loaded as a challenger: {error.message}"
        ) from error
    except KeyError as error:
        message = f"tensor {error} of the base is none of {family}: names may lack their prefix"
        raise AgonError("base_invalid", message, help=help) from error
    load: Any = AutoModelForCausalLM.from_pretrained  # untyped in transformers
    options = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    model, report = load(base, dtype=torch.float32, output_loading_info=True, **options)
    if type(model).__name__ != family:
        _refuse(f"the base loads as {type(model).__name__}, not as {family}", help=help)
    if report["missing_keys"]:
        _refuse(f"the base lacks the tensors {sorted(report['missing_keys'])[:SHOWN]}", help=help)


def _place(source: Path, target: Path) -> None:
    """The file under another name, without a copy of its bytes where the disk allows that."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            message = f"{source} cannot be read: {error.strerror}"
            raise AgonError("base_unavailable", message) from error


def _chat() -> list[dict[str, str]]:
    return [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]


def _render(tokenizer: Any, chat: list[dict[str, str]], *, ask: bool, moment: datetime) -> str:
    try:
        with _at(moment):
            rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=ask)
    except TEMPLATE_ERRORS as error:
        raise AgonError("base_invalid", f"the chat template cannot render a chat: {error}") from error
    return str(rendered)


@contextmanager
def _at(moment: datetime) -> Iterator[None]:
    """Templates read this clock: `strftime_now` asks the `datetime` of transformers' module, and nothing else
    in a template tells the time. An argument of that name would reach the template as a text."""
    from transformers.utils import chat_template_utils

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Stopped:
            return cls(*moment.timetuple()[:6], tzinfo=tz)

    module: Any = chat_template_utils
    running = module.datetime
    module.datetime = Stopped
    try:
        yield
    finally:
        module.datetime = running


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:8])) + (", ..." if len(ids) > 8 else "")


def _refuse(message: str, *, help: str | None = None) -> NoReturn:
    raise AgonError("base_invalid", message, help=help)
