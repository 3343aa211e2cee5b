"""How learned judges are loaded and how they read: tokenizer, length limit, padding, control tokens.

The judges' families (`shared/judging/families`) and the training of judges read texts by these lines, so a
judge scores what it was trained on. Nothing here reaches a network or runs code from a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from shared.errors import AgonError

TOKENS_CAP = 4096
"""Longest input of any judge, in tokens: what a CPU reads in reasonable time."""
UNTOLD_TOKENS = 256
"""Longest input of a reader that is not told what its model can read."""
USED_EMBEDDINGS = 0.9
"""Least share of a judge's embeddings that its tokenizer names: tables are padded by some percent."""

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


class JudgeReader:
    """How a judge's family reads a prompt and a completion. Training and scoring read by the same lines."""

    def __init__(self, tokenizer: Any, limit: int | None = None) -> None:
        """`limit` is the model's own (`own_limit`). The tokenizer is made to pad on the right: with absolute
        positions, padding on the left moves a short text to places where it was never read."""
        tokenizer.padding_side = "right"
        self._tokenizer = tokenizer
        self._control = control_tokens(tokenizer)
        self.limit = min(limit or UNTOLD_TOKENS, int(tokenizer.model_max_length))
        """Longest input, tokens."""

    @property
    def room(self) -> int:
        """Tokens of a prompt and its completion together that are read whole, in the judge's own tokens."""
        return self.limit - int(self.encode([("", "")])["input_ids"].shape[1])

    def encode(self, pairs: Sequence[tuple[str, str]]) -> Any:
        """Padded tensors of one batch of (prompt text, completion text)."""
        if self._tokenizer.chat_template is not None:
            texts = [self._chat(prompt, self._plain(answer)) for prompt, answer in pairs]
            return self._encode(texts, add_special_tokens=False)
        prompts = [prompt for prompt, _ in pairs]
        return self._encode(prompts, text_pair=[self._plain(answer) for _, answer in pairs])

    def _encode(self, texts: list[str], **options: Any) -> Any:
        return self._tokenizer(
            texts, padding=True, truncation=True, max_length=self.limit, return_tensors="pt", **options
        )

    def _chat(self, prompt: str, answer: str) -> str:
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False))

    def _plain(self, answer: str) -> str:
        return blank(answer, self._control)


class JudgeModel:
    """A reward model with exactly one label, and its reader."""

    def __init__(self, model: Any, reader: JudgeReader) -> None:
        self._model = model
        self.reader = reader

    def length(self, prompt: str, answer: str) -> int:
        """A cheap measure of input length, to sort by: characters."""
        return len(prompt) + len(answer)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Raw rewards of one batch of (prompt text, completion text); may be non-finite."""
        with torch.inference_mode():
            logits = self._model(**self.reader.encode(pairs)).logits
        return [float(value) for value in logits[:, 0].double()]


def load_judge(directory: Path) -> JudgeModel:
    """The reward model at `directory`. Raises AgonError `judge_invalid` unless it has one trained label."""
    model, tokenizer = _load(AutoModelForSequenceClassification, directory)
    if model.config.num_labels != 1:
        raise AgonError("judge_invalid", f"the judge at {directory} has {model.config.num_labels} labels")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise AgonError("judge_invalid", f"the tokenizer at {directory} has neither padding nor end token")
    model.config.pad_token_id = tokenizer.pad_token_id
    return JudgeModel(model, JudgeReader(tokenizer, own_limit(model)))


def load_decoder(directory: Path) -> tuple[Any, Any]:
    """The language model at `directory` and its tokenizer. Raises AgonError `judge_invalid`."""
    return _load(AutoModelForCausalLM, directory)


def _load(family: Any, directory: Path) -> tuple[Any, Any]:
    """Model (float32, CPU, evaluation mode, every tensor trained) and tokenizer, which belong together."""
    try:
        model, report = family.from_pretrained(
            directory, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **_LOCAL
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(directory, **_LOCAL)
    except _UNREADABLE as error:
        raise AgonError("judge_invalid", f"cannot load the judge at {directory}: {error}") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])[:3]
        raise AgonError("judge_invalid", f"the judge at {directory} lacks trained tensors: {missing}")
    _match_tokenizer(model, tokenizer, directory)
    model.requires_grad_(False)
    return model.eval(), tokenizer


def _match_tokenizer(model: Any, tokenizer: Any, directory: Path) -> None:
    """Refuse a tokenizer that is not this judge's.

    Without tokenizer files transformers makes a tokenizer of a few special tokens, and another family's has
    another size: either would score noise without a word.
    """
    tokens, rows = len(tokenizer), int(model.get_input_embeddings().num_embeddings)
    if not USED_EMBEDDINGS * rows <= tokens <= rows:
        message = f"the tokenizer at {directory} has {tokens} tokens, the judge has embeddings of {rows}"
        raise AgonError("judge_invalid", message, help="put the judge's own tokenizer.json beside it")


def own_limit(model: Any) -> int:
    """Longest input that a model has positions for, tokens; at most `TOKENS_CAP`.

    RoBERTa's family counts positions from its padding index, so its table holds fewer than it has rows.
    """
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [TOKENS_CAP, *([stated] if isinstance(stated, int) and stated > 0 else [])]
    for name, part in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            first = 0 if part.padding_idx is None else part.padding_idx + 1
            limits.append(part.num_embeddings - first)
    return min(limits)


def control_tokens(tokenizer: Any) -> list[str]:
    """Spellings of a tokenizer's special tokens, the longest first: the named ones and every added one that
    is marked special, as many turn markers are without being named."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    return sorted({*tokenizer.all_special_tokens, *added}, key=lambda token: (-len(token), token))


def blank(text: str, control: Sequence[str]) -> str:
    """The text with a blank in place of each control token, however they are nested."""
    before = None
    while text != before:
        before = text
        for token in control:
            if token.strip():
                text = text.replace(token, " ")
    return text
