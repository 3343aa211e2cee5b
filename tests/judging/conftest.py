"""Completions and references of hand-made numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.models.evidence import Completion
from shared.models.reference import JudgeReference, LengthReference, Reference
from shared.types import SliceName


@pytest.fixture
def reply() -> Callable[..., Completion]:
    """A finished completion of `tokens` tokens, with `nll` nats per token under the base."""

    def _reply(text: str = "A fine answer.", tokens: int = 10, nll: float = 1.0, **fields: Any) -> Completion:
        numbers = {"logprob": -nll * tokens, "base_logprob": -nll * tokens, "finished": True}
        return Completion.model_validate({"token_ids": (5,) * tokens, "text": text, **numbers, **fields})

    return _reply


@pytest.fixture
def reference() -> Reference:
    """A slice with one judge, lengths 4 to 20 tokens and a hundred reference scores around 0."""
    return Reference(
        slice=SliceName("chat"),
        completions=100,
        judges={"a": JudgeReference(mean=0.0, sd=1.0, length_slope=0.5)},
        lengths=LengthReference(mean=10.0, within_sd=3.0, low=4, high=20, cluster_means={"c": 10.0}),
        u_all=tuple((i - 49.5) / 25 for i in range(100)),
        u_clusters={"rich": tuple(i / 64 for i in range(64)), "poor": (0.0,)},
        nll_high=4.0,
        s_mean=0.5,
    )
