"""The Bradley-Terry fit of a judge's head alone: pooler and classifier of a BERT whose trunk stays as it is.

The trunk reads every text once, so an epoch costs nothing; that is what a CPU can do while one waits. The
demo's judges and `agon-validator judge train --head-only` are fitted by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import AgonError
from shared.judging.preferences.bradley_terry import pair_loss
from shared.judging.preferences.pairs import PreferencePair

if TYPE_CHECKING:
    from torch import Tensor

FEATURE_BATCH = 64


def read_states(encoder: Any, tokenizer: Any, pairs: Sequence[PreferencePair]) -> tuple[Tensor, Tensor]:
    """First-token states of the chosen and of the rejected sides, [pairs, 1, hidden] each.

    Texts are read as the judge reads them when it scores; neighbours in length share a batch.
    """
    import torch

    from shared.engines.judges import JudgeReader

    encode = JudgeReader(tokenizer).encode
    texts = [(pair.prompt, side) for pair in pairs for side in (pair.chosen, pair.rejected)]
    order = sorted(range(len(texts)), key=lambda index: len(texts[index][0]) + len(texts[index][1]))
    parts = []
    with torch.no_grad():
        for start in range(0, len(order), FEATURE_BATCH):
            batch = encode([texts[index] for index in order[start : start + FEATURE_BATCH]])
            parts.append(encoder(**batch).last_hidden_state[:, :1])  # [batch, 1, hidden]
    states = torch.cat(parts)[torch.tensor(order).argsort()]  # [2 * pairs, 1, hidden], as the texts stand
    return states[0::2], states[1::2]


def read_rewards(model: Any, states: Tensor) -> Tensor:
    """Rewards [pairs] of first-token states [pairs, 1, hidden]."""
    rewards: Tensor = model.classifier(model.bert.pooler(states))[:, 0]
    return rewards


def head_margins(model: Any, states: tuple[Tensor, Tensor]) -> Tensor:
    """r(chosen) - r(rejected) [pairs] of the states of both sides."""
    chosen, rejected = states
    return read_rewards(model, chosen) - read_rewards(model, rejected)


def head_parameters(model: Any) -> list[Tensor]:
    """What `fit_head` moves."""
    return [*model.bert.pooler.parameters(), *model.classifier.parameters()]


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
    """Minimise `pair_loss` over shuffled batches of pairs.

    `states` are those of the chosen and of the rejected sides; `after_epoch` is told the epochs done and
    the mean loss. Raises AgonError `training_failed` when the loss is not finite.
    """
    import torch

    chosen, rejected = states
    optimizer = torch.optim.AdamW(head_parameters(model), lr=learning_rate, weight_decay=weight_decay)
    for epoch in range(epochs):
        total = 0.0
        for part in torch.split(torch.randperm(len(chosen)), batch):  # [batch]
            loss = pair_loss(head_margins(model, (chosen[part], rejected[part])))
            if not bool(torch.isfinite(loss)):
                raise AgonError("training_failed", "the judge's loss is not finite")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(part)
        if after_epoch is not None:
            after_epoch(epoch + 1, total / len(chosen))
