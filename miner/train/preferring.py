"""Who prefers one completion to another: a language model behind a URL, a local one, or a reward model.

`rlaif` labels pairs with it. A language model is asked in both orders, and where the orders disagree there
is no preference; so position never decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from miner.train.constitution import Principle
from shared.engines.hf import Policy, load_policy
from shared.errors import AgonError
from shared.judging.families.reward_model import RewardModel
from shared.judging.pairwise import INSTRUCTION, Comparison, PairwiseJudge, Preference

CONTEXT_TOKENS = 2048


class Judge(ABC):
    """Prefers one of two completions, by one principle."""

    @abstractmethod
    def prefer(self, principle: Principle, prompt: str, first: str, second: str) -> Preference:
        """The preferred completion, or a tie."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held."""


class UrlJudge(Judge):
    """A model behind an OpenAI-compatible URL."""

    def __init__(self, url: str, model: str, key: str | None) -> None:
        self._url, self._model, self._key = url, model, key
        self._open: dict[str, PairwiseJudge] = {}

    def prefer(self, principle: Principle, prompt: str, first: str, second: str) -> Preference:
        """Asked in both orders. Raises AgonError as `PairwiseJudge.compare` does."""
        if principle.name not in self._open:
            self._open[principle.name] = PairwiseJudge(
                self._url, self._model, self._key, criterion=principle.prefer
            )
        return self._open[principle.name].prefer(prompt, first, second)

    def close(self) -> None:
        """Close all connections."""
        for judge in self._open.values():
            judge.close()


class LocalJudge(Judge):
    """A causal checkpoint on this machine: which letter is likelier after the question."""

    def __init__(self, directory: Path) -> None:
        self._policy: Policy = load_policy(directory)

    def prefer(self, principle: Principle, prompt: str, first: str, second: str) -> Preference:
        """Asked in both orders."""
        forward = self._prefers_a(principle, prompt, first, second)
        backward = self._prefers_a(principle, prompt, second, first)
        return Comparison(
            Preference.FIRST if forward else Preference.SECOND,
            Preference.SECOND if backward else Preference.FIRST,
        ).preference

    def close(self) -> None:
        """Forget the model."""
        del self._policy

    def _prefers_a(self, principle: Principle, prompt: str, a: str, b: str) -> bool:
        import torch

        instruction = INSTRUCTION.format(criterion=principle.prefer)
        question = f"{instruction}\n\nprompt: {prompt}\nanswer_A: {a}\nanswer_B: {b}"
        ids = self._policy.render(question, CONTEXT_TOKENS)
        with torch.inference_mode():
            logits, _, _ = self._policy.prefill([ids])  # [1, vocab]
        letter_a, letter_b = (self._policy.ids(letter)[0] for letter in "AB")
        return bool(logits[0, letter_a] > logits[0, letter_b])


class RewardJudge(Judge):
    """A reward model: it scores each completion alone, so there is no order to ask in."""

    def __init__(self, directory: Path) -> None:
        self._model = RewardModel(directory)

    def prefer(self, principle: Principle, prompt: str, first: str, second: str) -> Preference:  # noqa: ARG002
        """The completion with the higher reward, whatever the principle; equal rewards tie."""
        one, two = self._model.reward([(prompt, first), (prompt, second)])
        return Preference.TIE if one == two else Preference.FIRST if one > two else Preference.SECOND

    def close(self) -> None:
        """Forget the model."""
        del self._model


def open_judge(place: str, model: str, proxy: Path, key: str | None) -> Judge:
    """The judge at a URL, in a directory of a reward model or causal checkpoint, or the public `proxy`.

    Raises AgonError `usage` for anything else.
    """
    if place.startswith(("http://", "https://")):
        return UrlJudge(place, model, key)
    directory = proxy if place == "proxy" else Path(place)
    config = directory / "config.json"
    if not config.is_file():
        raise AgonError(
            "usage", f"no judge at {place!r}", help="give a URL, a checkpoint directory, or proxy"
        )
    return (
        RewardJudge(directory) if "ForSequenceClassification" in config.read_text() else LocalJudge(directory)
    )
