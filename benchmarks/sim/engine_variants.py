"""Engines beside the one that the rules pin: other threads, batches and kernels, and weights a little off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from shared.protocol.competition import EngineClass

NOISE = 1e-6


@dataclass(frozen=True)
class Variant:
    """One thing changed about the engine."""

    name: str
    threads: int | None = None
    batch: int | None = None
    dtype: torch.dtype = torch.float32
    change: Callable[[Any], None] | None = None
    part: int = 1
    """One completion in so many is drawn: bfloat16 is slow on a CPU."""


def add_noise(model: Any) -> None:
    """Gaussian noise of relative size 1e-6 on every tensor."""
    generator = torch.Generator().manual_seed(0)
    for tensor in model.parameters():
        tensor.add_(NOISE * tensor.square().mean().sqrt() * torch.randn(tensor.shape, generator=generator))


def round_to_bfloat16(model: Any) -> None:
    """Weights as a miner stores them in half the bytes; computing stays in float32."""
    for tensor in model.parameters():
        tensor.copy_(tensor.bfloat16().float())


def variants(engine: EngineClass) -> list[Variant]:
    """Every engine beside the rules' own."""
    threads, batches = {1, 2} - {engine.threads}, {16, 32, 64, 128} - {engine.batch}
    return [
        *(Variant(f"{count} thread{'s' * (count > 1)}", threads=count) for count in sorted(threads)),
        *(Variant(f"batch {size}", batch=size) for size in sorted(batches)),
        Variant("computed in float64", dtype=torch.float64, part=2),
        Variant("computed in bfloat16", dtype=torch.bfloat16, part=4),
        Variant("weights with noise of 1e-6", change=add_noise),
        Variant("weights rounded to bfloat16", change=round_to_bfloat16),
    ]
