"""`likelihood`: a decoder's own log-odds between two verdicts on a templated text, on the CPU.

    reward = log p(good | text) - log p(bad | text)

Both are sums over all tokens of the verdict, in nats. The decoder is never the policy's base: a policy is
trained from it and knows what it likes. A completion is read as tokens of its own, so it cannot grow together
with the template, and one that is too long is cut while the question behind it stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, ValidationError, model_validator

from shared.checkpoints.allowlist import WEIGHTS_NAME
from shared.checkpoints.headers import read_header
from shared.checkpoints.tensors import FLOAT_NAMES, measure
from shared.errors import AgonError, Rejection
from shared.protocol.loader import field_errors
from shared.protocol.wire import DigestField, Wire, digest_of
from shared.types import Digest

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 8
PLACES = re.compile(r"\{(prompt|completion)\}")


class Verdicts(Wire):
    """Parameters of the family."""

    template: str
    """What the decoder reads: `{prompt}` and, behind it, `{completion}`, once each, then the question."""
    good: str = Field(min_length=1)
    """The verdict that praises, with its leading space if it needs one."""
    bad: str = Field(min_length=1)
    base: DigestField | None = None
    """`tensors_digest` of the policy's base, which may not judge."""

    @model_validator(mode="after")
    def _holds_both_texts(self) -> Verdicts:
        if PLACES.findall(self.template) != ["prompt", "completion"]:
            raise ValueError("template must hold {prompt} and then {completion}, once each")
        return self


class Likelihood:
    """One decoder as judge, loaded once."""

    def __init__(self, directory: Path, verdicts: Verdicts) -> None:
        """Load the decoder. Raises AgonError `judge_invalid`."""
        from shared.engines.judges import control_tokens, load_decoder, own_limit

        self._name = directory.name
        self._model, self._tokenizer = load_decoder(directory)
        self._control = control_tokens(self._tokenizer)
        self._before, self._between, self._after = PLACES.split(verdicts.template)[::2]
        self._good, self._bad = self._ids(verdicts.good), self._ids(verdicts.bad)
        if (
            not self._good
            or not self._bad
            or _begins(self._good, self._bad)
            or _begins(self._bad, self._good)
        ):
            raise AgonError(
                "judge_invalid",
                f"{verdicts.good!r} and {verdicts.bad!r} are no two verdicts to the judge at {directory}",
                help="use verdicts of which neither is the beginning of the other",
            )
        longest = max(len(self._good), len(self._bad))
        self._limit = min(own_limit(self._model), int(self._tokenizer.model_max_length)) - longest
        self._start = self._first_token()

    @property
    def room(self) -> int:
        """Tokens of a prompt and its completion together that are read whole."""
        return (
            self._limit
            - len(self._start)
            - len(self._ids(self._before + self._between))
            - len(self._ids(self._after))
        )

    def reward(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Log-odds of the two verdicts for every (prompt text, completion text) pair, in order.

        Raises AgonError `judge_non_finite`, or `judge_invalid` for a prompt that leaves no room.
        """
        texts = [self._text(*pair) for pair in pairs]
        order = sorted(range(len(texts)), key=lambda index: (len(texts[index]), index))
        rewards = [0.0] * len(texts)
        for start in range(0, len(order), BATCH):
            indices = order[start : start + BATCH]
            for index, odds in zip(indices, self._odds([texts[i] for i in indices]), strict=True):
                rewards[index] = odds
        if not all(math.isfinite(value) for value in rewards):
            raise AgonError("judge_non_finite", f"the judge at {self._name} returned {rewards}")
        return rewards

    def _text(self, prompt: str, completion: str) -> list[int]:
        """Tokens of the template, filled; of the completion as many as there is room for."""
        from shared.engines.judges import blank

        before = [*self._start, *self._ids(self._before + prompt + self._between)]
        after = self._ids(self._after)
        room = self._limit - len(before) - len(after)
        if room < 1:
            raise AgonError("judge_invalid", f"a prompt leaves no room for a completion: {prompt[:60]!r}")
        return [*before, *self._ids(blank(completion, self._control))[:room], *after]

    def _odds(self, texts: Sequence[list[int]]) -> list[float]:
        """log p(good | text) - log p(bad | text), nats."""
        import torch

        fed = {tuple(verdict[:-1]) for verdict in (self._good, self._bad)}
        logs = {rest: self._read(texts, list(rest)) for rest in fed}  # one pass where both are one token
        sums = []
        for verdict in (self._good, self._bad):
            read = logs[tuple(verdict[:-1])]  # [texts, len(verdict), vocab]
            said = [read[:, place, token] for place, token in enumerate(verdict)]  # [texts] each
            sums.append(torch.stack(said).sum(dim=0))
        return [float(value) for value in sums[0] - sums[1]]

    def _read(self, texts: Sequence[list[int]], rest: list[int]) -> Tensor:
        """Log-probabilities [texts, len(rest) + 1, vocab] of what follows each text and token of `rest`."""
        import torch

        rows = [[*text, *rest] for text in texts]
        width = max(map(len, rows))
        # [texts, width]: padded on the right, which a causal model never looks back from
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        places = torch.tensor([range(len(text) - 1, len(row)) for text, row in zip(texts, rows, strict=True)])
        kept, index = torch.unique(places, return_inverse=True)  # index: [texts, len(rest) + 1]
        with torch.inference_mode():
            logits = self._model(
                input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept
            ).logits
            own: Tensor = logits[torch.arange(len(rows)).unsqueeze(1), index]
            return own.double().log_softmax(dim=-1)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _first_token(self) -> list[int]:
        """What the tokenizer itself puts before a text: its start token, or nothing."""
        start: Any = self._tokenizer.bos_token_id
        return [start] if start is not None and self._tokenizer("a").input_ids[:1] == [start] else []


def load(directory: Path, params: Mapping[str, JsonValue]) -> Likelihood:
    """The decoder at `directory` as judge. Raises AgonError `judge_invalid`."""
    try:
        verdicts = Verdicts.model_validate(params)
    except ValidationError as error:
        raise AgonError(
            "judge_invalid",
            f"parameters of the judge at {directory}: {field_errors(error)}",
            help="a likelihood judge takes `template`, `good`, `bad` and `base`",
        ) from error
    if verdicts.base is not None:
        check_not_base(directory, verdicts.base)
    return Likelihood(directory, verdicts)


def check_not_base(directory: Path, base: Digest) -> None:
    """Refuse the policy's base as judge; `base` is its `tensors_digest`. Raises AgonError `judge_invalid`."""
    if tensors_digest(directory) == base:
        raise AgonError(
            "judge_invalid",
            f"the judge at {directory} is the base that policies are trained from",
            help="judge with another model",
        )


def tensors_digest(directory: Path) -> Digest:
    """What tensors a checkpoint holds, whatever their names and width: shapes and norms to seven digits.

    Raises AgonError `judge_invalid` without a sound `model.safetensors`.
    """
    try:
        header = read_header(directory, WEIGHTS_NAME)
        narrow = sorted(name for name, tensor in header.items() if tensor.dtype not in FLOAT_NAMES)
        if narrow:
            raise AgonError("judge_invalid", f"tensor {narrow[0]!r} at {directory} is no float")
        found = {(*stats.shape, f"{stats.norm:.6e}") for _, stats in measure(directory, header)}
    except (OSError, Rejection) as error:
        raise AgonError("judge_invalid", f"the tensors at {directory}: {error}") from error
    return digest_of(sorted([str(part) for part in one] for one in found))


def _begins(tokens: Sequence[int], start: Sequence[int]) -> bool:
    return list(tokens[: len(start)]) == list(start)
