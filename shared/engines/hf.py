"""Every Hugging Face call of sampling: loading policies, text to tokens, forward passes.

The sampler child calls it; the parent never imports it. `judges.py` is its twin for judges. A policy is
always built from the competition's base directory (config, tokenizer, chat template); from a miner's
directory only the tensors of `model.safetensors` are read. Nothing here reaches a network or runs code from a
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import Cache, DynamicCache

from shared.checkpoints.allowlist import WEIGHTS_NAME
from shared.engines.kv_cache import KVCache, states
from shared.errors import AgonError, Rejection
from shared.protocol.evidence import NOT_TEXT


class Policy:
    """A causal language model with its tokenizer: float32, CPU, evaluation mode."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._layers = int(model.config.num_hidden_layers)
        self.vocab_size = int(model.config.vocab_size)
        self._special = special_ids(tokenizer)
        self._shared = _shared_prefix(self._render("a"), self._render("Why?"))
        self._shared_cache: DynamicCache | None = None

    def _render(self, text: str) -> tuple[int, ...]:
        message = [{"role": "user", "content": text}]
        rendered = self._tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        return tuple(self._tokenizer(rendered, add_special_tokens=False).input_ids)

    def render(self, text: str, prompt_tokens: int) -> tuple[int, ...]:
        """Token ids of `text` as the user's turn of the chat template.

        Raises AgonError `competition_invalid` above `prompt_tokens`: a cut prompt would be another prompt.
        """
        ids = self._render(text)
        if len(ids) > prompt_tokens:
            raise AgonError(
                "competition_invalid",
                f"a prompt has {len(ids)} tokens, the competition allows {prompt_tokens}: {text[:60]!r}",
            )
        return ids

    def ids(self, text: str) -> tuple[int, ...]:
        """Token ids of bare text, outside any chat template."""
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)

    def text(self, token_ids: Sequence[int]) -> str:
        """Text of a completion's tokens (without its stop token); a special token becomes U+FFFD."""
        parts: list[str] = []
        run: list[int] = []
        for token in token_ids:
            if token in self._special:
                parts += [self._decode(run), NOT_TEXT]
                run = []
            else:
                run.append(token)
        return "".join([*parts, self._decode(run)])

    def _decode(self, token_ids: list[int]) -> str:
        return str(self._tokenizer.decode(token_ids, clean_up_tokenization_spaces=False)) if token_ids else ""

    def new_cache(self, rows: int, columns: int) -> KVCache:
        """An empty cache for `rows` running rows of at most `columns` tokens."""
        return KVCache(self._layers, rows, columns)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Cache, Tensor]:
        """Read whole prompts: next-token logits [n, vocab], the cache, and its visible columns [n, width]."""
        logits, cache, mask = self._forward(prompts, keep=1)
        return logits[:, -1], cache, mask

    def step(self, cache: KVCache, tokens: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Feed one token to every running row: next-token logits [rows, vocab]."""
        mask = cache.open_column()  # [rows, width]
        output = self._model(
            input_ids=torch.tensor(tokens).unsqueeze(1),
            attention_mask=mask[:, None, None, :],
            position_ids=torch.tensor(positions).unsqueeze(1),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def read(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> list[Tensor]:
        """Teacher-forced logits [len(completion), vocab] of each completion after its prompt."""
        keep = max(len(answer) for answer in answers)
        fed = [[*prompt, *answer[:-1]] for prompt, answer in zip(prompts, answers, strict=True)]
        logits, _, _ = self._forward(fed, keep=keep)
        return [row[keep - len(answer) :] for row, answer in zip(logits, answers, strict=True)]

    def _forward(self, sequences: Sequence[Sequence[int]], keep: int) -> tuple[Tensor, Cache, Tensor]:
        """One pass over left-padded sequences, behind the prefix that every rendered prompt shares."""
        shared = self._shared if all(_starts(ids, self._shared) for ids in sequences) else ()
        cache = self._prefix_cache(len(sequences)) if shared else DynamicCache()
        rests = [list(ids[len(shared) :]) for ids in sequences]
        columns = max(keep, *map(len, rests))
        # [sequences, columns]: left-padded rests, which of them are real, and what each may attend to
        ids = torch.tensor([[0] * (columns - len(rest)) + rest for rest in rests])
        real = torch.tensor([[False] * (columns - len(rest)) + [True] * len(rest) for rest in rests])
        mask = torch.cat([torch.ones(len(rests), len(shared), dtype=torch.bool), real], dim=1)
        positions = (mask.long().cumsum(1) - 1)[:, len(shared) :].clamp(min=0)
        output = self._model(
            input_ids=ids,
            attention_mask=_causal(mask, columns),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        return output.logits, cache, mask

    def _prefix_cache(self, rows: int) -> DynamicCache:
        if self._shared_cache is None:
            self._shared_cache = DynamicCache()
            self._model(
                input_ids=torch.tensor([self._shared]),
                past_key_values=self._shared_cache,
                use_cache=True,
                logits_to_keep=1,
            )
        pairs = states(self._shared_cache)
        return DynamicCache([(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in pairs])


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of every token that is no text: the named ones, and each added token that is marked special.

    A tokenizer names few of them (`all_special_ids`): SmolLM2 names 3 of the 17 that its vocabulary holds.
    """
    added = (token for token, what in tokenizer.added_tokens_decoder.items() if what.special)
    return frozenset({*tokenizer.all_special_ids, *added})


def _shared_prefix(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    same = 0
    while same < min(len(first), len(second)) - 1 and first[same] == second[same]:
        same += 1
    return tuple(first[:same])


def _starts(ids: Sequence[int], prefix: tuple[int, ...]) -> bool:
    return len(ids) > len(prefix) and tuple(ids[: len(prefix)]) == prefix


def _causal(mask: Tensor, queries: int) -> Tensor:
    """Boolean mask [n, 1, queries, width] for the last `queries` columns.

    A padding query sees itself alone: with nothing to see it would turn into NaN and poison its row.
    """
    width = mask.shape[1]
    columns = torch.arange(width)
    rows = torch.arange(width - queries, width)
    seen = (columns[None, :] <= rows[:, None])[None] & mask[:, None, :]
    own = (columns[None, :] == rows[:, None])[None]
    return (seen | own).unsqueeze(1)


def load_policy(base: Path, checkpoint: Path | None = None) -> Policy:
    """The base model at `base`, or its architecture with the tensors of `checkpoint`/model.safetensors.

    Raises AgonError `base_unavailable` for a bad base, Rejection for tensors that do not fit it.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise AgonError("base_unavailable", f"cannot load the base model at {base}: {error}") from error
    if checkpoint is not None and checkpoint.resolve() != base.resolve():
        _replace_tensors(model, base / WEIGHTS_NAME, checkpoint / WEIGHTS_NAME)
    model.requires_grad_(False)
    return Policy(model.eval(), tokenizer)


def _replace_tensors(model: Any, base: Path, file: Path) -> None:
    """Copy every tensor of `file` over the model's; names and shapes must be those of `base`."""
    targets = model.state_dict()
    try:
        with safe_open(base, "pt") as expected, safe_open(file, "pt") as given:
            if set(given.keys()) != set(expected.keys()):
                odd = sorted(set(given.keys()) ^ set(expected.keys()))
                raise Rejection("architecture_mismatch", f"tensor names differ from the base: {odd[:5]}")
            for name in given.keys():  # noqa: SIM118 (not a mapping)
                tensor = given.get_tensor(name)
                if tensor.shape != targets[name].shape or not tensor.is_floating_point():
                    raise Rejection("architecture_mismatch", f"{name} has shape {tuple(tensor.shape)}")
                targets[name].copy_(tensor)
    except SafetensorError as error:
        raise Rejection("header_invalid", f"{file.name} is not readable: {error}") from error
    model.tie_weights()
