"""Training data in files: chats and preference pairs as JSON lines, checked to the last line before training.

A malformed line is refused by its number, so that a run never starts on half of a file. Chats are rendered
with the competition's own chat template, and only assistant turns are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import AgonError
from shared.protocol.loader import field_errors

IGNORED = -100
"""Label of a token that is not learned, as PyTorch's cross entropy has it."""


class Message(BaseModel):
    """One turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1)


class Chat(BaseModel):
    """A line of chat data: `{"messages": [...]}` or `{"prompt": ..., "completion": ...}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    messages: tuple[Message, ...] = Field(min_length=2)

    @model_validator(mode="before")
    @classmethod
    def _from_prompt(cls, row: Any) -> Any:
        if isinstance(row, dict) and "prompt" in row and set(row) == {"prompt", "completion"}:
            prompt = _turns(row["prompt"], "user")
            return {"messages": [*prompt, *_turns(row["completion"], "assistant")]}
        return row

    @model_validator(mode="after")
    def _ends_with_an_answer(self) -> Self:
        if self.messages[-1].role != "assistant":
            raise ValueError("the last turn must be the assistant's")
        return self


class Pair(BaseModel):
    """A line of preference data: `{"prompt": ..., "chosen": ..., "rejected": ...}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    prompt: str = Field(min_length=1)
    chosen: str = Field(min_length=1)
    rejected: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_messages(cls, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return {
            name: _only_text(value) if name in {"prompt", "chosen", "rejected"} else value
            for name, value in row.items()
        }

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        if self.chosen == self.rejected:
            raise ValueError("both answers are the same")
        return self


def read_chats(path: Path) -> list[Chat]:
    """All chats of a file. Raises AgonError `data_invalid` naming the first bad line."""
    return _read(path, Chat)


def read_pairs(path: Path) -> list[Pair]:
    """All pairs of a file. Raises AgonError `data_invalid` naming the first bad line."""
    return _read(path, Pair)


def _read(path: Path, kind: Any) -> list[Any]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise AgonError("data_invalid", f"cannot read {path}: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(kind.model_validate_json(line))
        except ValidationError as error:
            raise AgonError("data_invalid", f"{path} line {number}: {field_errors(error)}") from error
    if not rows:
        raise AgonError("data_invalid", f"{path} holds no {kind.__name__.lower()}")
    return rows


def _turns(value: Any, role: str) -> list[Any]:
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)


def _only_text(value: Any) -> Any:
    """The text of a plain string or of a list with one message."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return value[0].get("content")
    return value


@dataclass(frozen=True)
class Rendered:
    """Token ids and labels of one chat; labels are `IGNORED` outside assistant turns."""

    input_ids: list[int]
    labels: list[int]

    @property
    def prompt_tokens(self) -> int:
        """Tokens before the first answer."""
        return next(place for place, label in enumerate(self.labels) if label != IGNORED)


def render(tokenizer: Any, messages: Sequence[Message], most_tokens: int) -> Rendered:
    """One chat through the template, at most `most_tokens` long; every answer ends with the stop token.

    Raises AgonError `data_invalid` when nothing of an answer would be left.
    """
    turns = [message.model_dump() for message in messages]
    ids: list[int] = []
    labels: list[int] = []
    before = ""
    for index, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        prompt = _template(tokenizer, turns[:index], ask=True)
        head = _ids(tokenizer, prompt.removeprefix(before))
        answer = [*_ids(tokenizer, turn["content"]), tokenizer.eos_token_id]
        ids += head + answer
        labels += [IGNORED] * len(head) + answer
        before = prompt + turn["content"] + tokenizer.eos_token
    if all(label == IGNORED for label in labels[:most_tokens]):
        raise AgonError(
            "data_invalid", f"a chat's first {most_tokens} tokens hold no answer: raise max_tokens"
        )
    return Rendered(ids[:most_tokens], labels[:most_tokens])


def _template(tokenizer: Any, turns: list[dict[str, str]], *, ask: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask))


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids
