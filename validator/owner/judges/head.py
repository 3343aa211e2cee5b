"""Training of a judge's head alone: pooler and classifier of a BERT whose trunk stays as it is.

The trunk reads every text once, so an epoch costs nothing; that is what a CPU can do while one waits. The
demo's judges and `agon-validator judge train --head-only` are trained by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import AgonError

if TYPE_CHECKING:
    from torch import Tensor

FEATURE_BATCH = 64

Encode = Callable[[Sequence[tuple[str, str]]], Any]
"""Padded tensors of a batch of (prompt, answer) texts."""


def read_states(encoder: Any, encode: Encode, texts: Sequence[tuple[str, str]]) -> Tensor:
    """First-token states [n, 1, hidden] of the texts, in their order."""
    import torch

    order = sorted(range(len(texts)), key=lambda index: len(texts[index][0]) + len(texts[index][1]))
    parts = []
    with torch.no_grad():
        for start in range(0, len(order), FEATURE_BATCH):
            batch = [texts[index] for index in order[start : start + FEATURE_BATCH]]
            parts.append(encoder(**encode(batch)).last_hidden_state[:, :1])
    return torch.cat(parts)[torch.tensor(order).argsort()]


def read_rewards(model: Any, states: Tensor) -> Tensor:
    """Rewards [n] of first-token states."""
    value: Tensor = model.classifier(model.bert.pooler(states))[:, 0]
    return value


def fit_head(
    model: Any,
    states: tuple[Tensor, Tensor],
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    weight_decay: float,
    after_epoch: Callable[[int, float], None] | None = None,
) -> None:
    """Minimise -log sigmoid(r_good - r_bad) over shuffled batches (Bradley and Terry 1952).

    `states` are those of the better and of the worse answers; `after_epoch` is told the epochs done and
    the mean loss. Raises AgonError `training_failed` when the loss is not finite.
    """
    import torch

    good, bad = states
    parameters = [*model.bert.pooler.parameters(), *model.classifier.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
    for epoch in range(epochs):
        total = 0.0
        for part in torch.split(torch.randperm(len(good)), batch):
            margins = read_rewards(model, good[part]) - read_rewards(model, bad[part])
            loss = -torch.nn.functional.logsigmoid(margins).mean()
            if not bool(torch.isfinite(loss)):
                raise AgonError("training_failed", "the judge's loss is not finite")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(part)
        if after_epoch is not None:
            after_epoch(epoch + 1, total / len(good))
