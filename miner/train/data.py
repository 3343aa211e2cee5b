"""Chats as JSON lines, checked to the last line before training, and rendered as tokens.

A malformed line is refused by its number, so that a run never starts on half of a file. Chats are rendered
with the competition's own chat template, and only assistant turns are learned. Preference pairs are read by
`shared/judging/preferences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import AgonError
from shared.judging.preferences.pairs import read_lines
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
    def _ends_with_a_completion(self) -> Self:
        if self.messages[-1].role != "assistant":
            raise ValueError("the last turn must be the assistant's")
        return self


def read_chats(path: Path) -> list[Chat]:
    """All chats of a file, plain or gzipped. Raises AgonError `data_invalid` naming the first bad line."""
    chats = []
    for line in read_lines(path):
        try:
            chats.append(Chat.model_validate(line.row))
        except ValidationError as error:
            raise line.fail(field_errors(error)) from error
    if not chats:
        raise AgonError("data_invalid", f"{path} holds no chat")
    return chats


def _turns(value: Any, role: str) -> list[Any]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return value if isinstance(value, list) else [value]  # the model names what is no message


@dataclass(frozen=True)
class Rendered:
    """Token ids and labels of one chat; labels are `IGNORED` outside assistant turns."""

    input_ids: list[int]  # [tokens]
    labels: list[int]  # [tokens]

    @property
    def prompt_tokens(self) -> int:
        """Tokens before the first completion."""
        return next(place for place, label in enumerate(self.labels) if label != IGNORED)


def render(tokenizer: Any, messages: Sequence[Message], most_tokens: int) -> Rendered:
    """One chat through the template, at most `most_tokens` long; every completion ends with the stop token.

    Raises AgonError `data_invalid` when nothing of a completion would be left.
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
        completion = [*_ids(tokenizer, turn["content"]), tokenizer.eos_token_id]
        ids += head + completion
        labels += [IGNORED] * len(head) + completion
        before = prompt + turn["content"] + tokenizer.eos_token
    if all(label == IGNORED for label in labels[:most_tokens]):
        raise AgonError(
            "data_invalid", f"a chat's first {most_tokens} tokens hold no completion: raise max_tokens"
        )
    return Rendered(ids[:most_tokens], labels[:most_tokens])


def _template(tokenizer: Any, turns: list[dict[str, str]], *, ask: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask))


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids
