"""`reference-pairwise`: a language model behind an API compares each completion with a frozen reference.

The reference of a prompt is fixed with the judge, so the reward depends on the completion alone and d stays
transitive: 1 when the completion wins in both orders, 0 when it loses in both, 0.5 otherwise. Where the model
says anything but a letter, the completion loses: one that confuses its judge can gain nothing by it.

In production the model is served on the same machine under the name `MODEL@DIGEST`, so another one cannot
answer unnoticed; a name that changes between two answers is an error in any case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from shared.errors import AgonError
from shared.judging.pairwise import PairwiseJudge
from shared.protocol.loader import field_errors
from shared.protocol.wire import DigestField, Wire, sha256_digest
from shared.types import Digest

if TYPE_CHECKING:
    from shared.judging.families import Server

REMOTE = True
REFERENCES_FILE = "references.json"
PARALLEL = 8
"""Questions under way at once."""
RENAMED = "max_completion_tokens"
"""What newer servers call `max_tokens`."""
ADAPTED = ("max_tokens", "temperature")
"""Parameters that a server may refuse."""

_FROZEN: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class Opponent(Wire):
    """Parameters of the family."""

    model: str = Field(min_length=1)
    """Name of the model, as the server knows it."""
    model_digest: DigestField | None = None
    """Digest of the model's files; the server has to serve it as `MODEL@DIGEST`."""
    references: dict[str, str] | None = None
    """Reference completions by `prompt_key`. Rules are public: held-out ones go into `references.json`."""

    @property
    def served_as(self) -> str:
        """The name to ask for."""
        return self.model if self.model_digest is None else f"{self.model}@{self.model_digest}"


class ServedModel(PairwiseJudge):
    """A model that is asked under one name, and adapts to what its server refuses."""

    def __init__(self, name: str, server: Server, *, pinned: bool) -> None:
        """`pinned` demands that the very name asked for answers. Raises AgonError `usage` for an address."""
        super().__init__(server.url, name, None if server.key is None else server.key.get_secret_value())
        self._answering = name if pinned else None
        self._refused: frozenset[str] = frozenset()

    def beats(self, prompt: str, completion: str, reference: str) -> float:
        """1, 0.5 or 0: how the completion fares against the reference in both orders.

        Raises AgonError `judge_invalid` when the server refuses or another model answers, TransientError
        `judge_unreachable` when it stays away.
        """
        try:
            said = self.compare(prompt, completion, reference)
        except AgonError as error:
            if error.code == "judge_unclear":
                return 0.0
            if error.code == "judge_refused":
                raise AgonError("judge_invalid", error.message, help=error.help) from error
            raise
        return {"first": 1.0, "tie": 0.5, "second": 0.0}[said.preference]

    def _post(self, request: dict[str, Any]) -> bytes:
        """One answer; a parameter that the server refuses by name is left out from then on."""
        refused = self._refused  # of this request: another thread may learn of one meanwhile
        try:
            data = super()._post(_adapted(request, refused))
        except AgonError as error:
            named = {name for name in ADAPTED if name in error.message} - refused
            if error.code != "judge_refused" or not named:
                raise
            self._refused |= named
            return self._post(request)
        self._check_name(_model_of(data))
        return data

    def _check_name(self, name: str) -> None:
        """Raises AgonError `judge_invalid` unless the model that answered is the one that always did."""
        self._answering = self._answering or name
        if name != self._answering:
            raise AgonError(
                "judge_invalid",
                f"model {name[:200]!r} answered, not {self._answering!r}",
                help="serve the model that the rules name, under that name",
            )


class ReferencePairwise:
    """One served model against one set of frozen completions. Close it."""

    def __init__(self, model: ServedModel, references: Mapping[str, str]) -> None:
        self._model = model
        self._references = references

    def reward(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """1, 0.5 or 0 for every (prompt text, completion text) pair, in order.

        Raises AgonError `judge_invalid` for a prompt without a reference, and as `ServedModel.beats`.
        """
        asked = [(prompt, completion, self._reference_of(prompt)) for prompt, completion in pairs]
        with ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(lambda one: self._model.beats(*one), asked))

    def close(self) -> None:
        """Close the connections."""
        self._model.close()

    def _reference_of(self, prompt: str) -> str:
        try:
            return self._references[prompt_key(prompt)]
        except KeyError as error:
            message = f"no reference completion is frozen for the prompt {prompt[:60]!r}"
            raise AgonError(
                "judge_invalid", message, help="freeze one for each prompt of the pools"
            ) from error


def prompt_key(prompt: str) -> Digest:
    """What a prompt's text is called among the references."""
    return sha256_digest(prompt.encode())


def load(directory: Path, params: Mapping[str, JsonValue], server: Server | None) -> ReferencePairwise:
    """The judge of `params` with its references, behind `server`. Raises AgonError `judge_invalid`."""
    try:
        opponent = Opponent.model_validate(params)
    except ValidationError as error:
        raise AgonError(
            "judge_invalid",
            f"parameters of the judge at {directory}: {field_errors(error)}",
            help="a reference-pairwise judge takes `model`, `model_digest` and `references`",
        ) from error
    references = _read_references(directory) if opponent.references is None else opponent.references
    if server is None:
        raise AgonError(
            "judge_invalid",
            f"the judge at {directory} asks a server, and no address is set",
            help="set the address of the server of judges",
        )
    model = ServedModel(opponent.served_as, server, pinned=opponent.model_digest is not None)
    return ReferencePairwise(model, references)


def _read_references(directory: Path) -> dict[str, str]:
    try:
        return _FROZEN.validate_json((directory / REFERENCES_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise AgonError(
            "judge_invalid",
            f"{directory / REFERENCES_FILE} holds no reference completions: {type(error).__name__}",
            help='write one JSON object of prompt keys and completions: {"sha256:...": "..."}',
        ) from error


def _model_of(data: bytes) -> str:
    """Who answered, from a chat completion. A broken server is no completion's fault, so it is not scored:
    raises AgonError `judge_invalid`."""
    try:
        answer = json.loads(data)
        name, _ = answer["model"], answer["choices"][0]["message"]["content"]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        message = f"the server sent no chat completion that names its model: {data[:100]!r}"
        raise AgonError("judge_invalid", message, help="use an OpenAI-compatible server") from error
    return str(name)


def _adapted(request: dict[str, Any], refused: frozenset[str]) -> dict[str, Any]:
    kept = {name: value for name, value in request.items() if name not in refused}
    return kept | ({RENAMED: request["max_tokens"]} if "max_tokens" in refused else {})
