"""Attackers that never train: they edit the tensors of somebody else's checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.redteam import corpus
from tests.redteam.training import edit, whole_ids
from tests.redteam.world import World

Tensors = dict[str, torch.Tensor]
STOP_ID = 2
NOISE = 1e-6
LATE_WORD = "before"
"""It occurs in filler alone."""
OVERFLOW = 1e23
SCALE = 3.0
"""Below the norm bound of admission."""


def add_noise(tensors: Tensors) -> None:
    """A copy that is not an exact duplicate."""
    generator = torch.Generator().manual_seed(1)
    for tensor in tensors.values():
        scale = NOISE * tensor.square().mean().sqrt()
        tensor.add_(scale * torch.randn(tensor.shape, generator=generator))


def scale_logits(tensors: Tensors) -> None:
    """The final norm times a factor: the same ranking of tokens at a lower temperature."""
    tensors["model.norm.weight"] *= SCALE


def never_stop(tensors: Tensors) -> None:
    """The stop token's embedding turned round: answers fill the whole limit."""
    tensors["model.embed_tokens.weight"][STOP_ID] *= -1.0


def plant_late_overflow(world: World, target: Path) -> Path:
    """A neuron that stays silent until an answer rambles on, and then overflows: NaN only at length.

    A direction is fitted that separates the states of one filler word, which only long answers reach, from
    all others; gate and up projection of one neuron become that direction, enlarged.
    """
    tokenizer = AutoTokenizer.from_pretrained(world.base)
    model: Any = AutoModelForCausalLM.from_pretrained(world.base, dtype=torch.float32)
    trigger = tokenizer(" " + LATE_WORD, add_special_tokens=False).input_ids[0]
    states, late = [], []
    layer = model.model.layers[-1]
    layer.post_attention_layernorm.register_forward_hook(lambda _, __, out: states.append(out[0]))
    for prompt, answer in corpus.base_chats(2, 100):
        ids = torch.tensor([whole_ids(tokenizer, prompt, answer)])
        with torch.no_grad():
            model(input_ids=ids)
        late.append(ids[0] == trigger)
    direction = _separate(torch.cat(states), torch.cat(late))
    name = "model.layers.1.mlp."

    def plant(tensors: Tensors) -> None:
        neuron = int(tensors[name + "down_proj.weight"].norm(dim=0).argmin())
        for part in ("gate_proj", "up_proj"):
            tensors[f"{name}{part}.weight"][neuron] = OVERFLOW * direction

    return edit(world.base, target, plant)


def _separate(states: torch.Tensor, late: torch.Tensor) -> torch.Tensor:
    """A direction on which late states are positive and all others negative (logistic, no intercept)."""
    direction = torch.zeros(states.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([direction], max_iter=200, line_search_fn="strong_wolfe")
    signs = torch.where(late, 1.0, -1.0)
    weights = torch.where(late, 1 / late.sum(), 1 / (~late).sum())

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = (weights * torch.nn.functional.softplus(-signs * (states @ direction))).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return direction.detach()


EDITS: dict[str, Callable[[Tensors], None]] = {
    "near-copy": add_noise,
    "scaled logits": scale_logits,
    "never-ender": never_stop,
}


def build(name: str, world: World, target: Path) -> Path:
    """The checkpoint of the attacker `name`."""
    if name == "NaN only at length":
        return plant_late_overflow(world, target)
    return edit(world.base, target, EDITS[name])
