"""The Bradley-Terry fit of a whole reward model: P(chosen wins) = sigmoid(r(chosen) - r(rejected)).

The owner's `judge train` and the miner's `reward` recipe build their trainer here; `head.py` fits a head
alone. Texts are read by the very lines that read them when the judge scores, so nothing is dropped for its
length and no segment is lost, as TRL alone would have it. How long to train is the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import AgonError
from shared.judging.preferences.pairs import PreferencePair

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, list[int]]
"""One pair as tokens: `chosen_ids` and `rejected_ids`, and `..._segments` for families that have any."""


def load_backbone(trunk: Path, seed: int, tokenizer_from: Path | None = None) -> tuple[Any, Any]:
    """A model with one label and its tokenizer, which has a padding token.

    The head is new, from `seed`, unless the trunk is a judge already. Raises AgonError `base_unavailable`
    for a directory that is no backbone.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

    options = {"local_files_only": True, "trust_remote_code": False}
    set_seed(seed)
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            trunk, num_labels=1, dtype=torch.float32, use_safetensors=True, **options
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer_from or trunk, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise AgonError("base_unavailable", f"cannot load a backbone from {trunk}: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def read_rows(pairs: Sequence[PreferencePair], tokenizer: Any) -> list[Row]:
    """Tokens of every pair, as scoring reads them: TRL's own columns, and the segments it leaves out."""
    from shared.engines.judges import JudgeReader

    reader = JudgeReader(tokenizer)
    rows = []
    for pair in pairs:
        row: Row = {}
        for side, completion in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            encoded = reader.encode([(pair.prompt, completion)])  # [1, tokens] each
            row[f"{side}_ids"] = encoded["input_ids"][0].tolist()
            if "token_type_ids" in encoded:
                row[f"{side}_segments"] = encoded["token_type_ids"][0].tolist()
        rows.append(row)
    return rows


class PairCollator:
    """Batches of padded tensors, all chosen sides before all rejected ones."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Tensors [2 * pairs, tokens] of what the model takes."""
        names = {"input_ids": "ids", "token_type_ids": "segments"}
        features = [
            {name: row[f"{side}_{part}"] for name, part in names.items() if f"{side}_{part}" in row}
            for side in ("chosen", "rejected")
            for row in rows
        ]
        return dict(self._tokenizer.pad(features, return_tensors="pt"))


def build_trainer(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[PreferencePair],
    arguments: Mapping[str, Any],
    *,
    centre: float = 0.0,
    adapter: Any = None,
    callbacks: Sequence[Any] = (),
) -> Any:
    """TRL's reward trainer on `pairs`; `arguments` are those of any TRL configuration.

    `centre` weighs the squared sum of both rewards of a pair: it keeps rewards near zero without changing
    their order. `adapter` is a peft configuration, or None to train every weight.
    """
    from datasets import Dataset
    from trl.trainer.reward_config import RewardConfig
    from trl.trainer.reward_trainer import RewardTrainer

    return RewardTrainer(
        model=model,
        args=RewardConfig(
            **arguments,
            max_length=None,  # TRL would drop longer pairs; the reader cuts them, as it does when it scores
            center_rewards_coefficient=centre or None,
            remove_unused_columns=False,  # TRL does not know the segments
        ),
        data_collator=PairCollator(tokenizer),
        train_dataset=Dataset.from_list(read_rows(pairs, tokenizer)),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=list(callbacks),
    )


def reward_margins(model: Any, rows: Sequence[Row], collate: PairCollator, batch: int) -> Tensor:
    """r(chosen) - r(rejected) of every row [pairs], by the model in evaluation mode and without gradients."""
    import torch

    model.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            logits = model(**collate(rows[start : start + batch])).logits  # [2 * batch, 1]
            chosen, rejected = logits[:, 0].chunk(2)  # [batch] each
            parts.append(chosen - rejected)
    return torch.cat(parts)


def pair_loss(margins: Tensor) -> Tensor:
    """Mean of -log sigmoid(margin) over margins [pairs] (Bradley and Terry 1952), nats."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(margins).mean()


def pair_accuracy(margins: Tensor) -> float:
    """Share of margins [pairs] above zero; a tie counts as half."""
    import torch

    return float((torch.sign(margins) + 1).double().mean()) / 2
