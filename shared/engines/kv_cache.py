"""The key-value cache of the sampler: a fixed number of rows that are written in place.

Only `hf.py` makes and feeds it, under the sampler's orders. It knows columns and rows, not tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer


def states(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values [rows, heads, columns, size] of every layer of a filled cache."""
    pairs = []
    for layer in cache.layers:
        if not isinstance(layer, CacheLayerMixin) or layer.keys is None or layer.values is None:
            raise ValueError("the sampler needs a model with ordinary attention in every layer")
        pairs.append((layer.keys, layer.values))
    return pairs


class KVCache(Cache):
    """Keys and values of the running rows, in buffers that are written in place.

    Rows are aligned at their right end, column `width`; `mask` says which columns a row may see. Copying
    the whole cache at every step, as a growing cache does, costs a quarter of the time of a step.
    """

    def __init__(self, layers: int, rows: int, columns: int) -> None:
        self._layers_in_place = [_KVLayer(rows, columns) for _ in range(layers)]
        super().__init__(layers=[*self._layers_in_place])
        self.mask = torch.zeros(rows, columns, dtype=torch.bool)
        self.columns = columns
        self.rows = 0
        self.width = 0

    def put(self, prefilled: Cache, mask: Tensor, sources: Sequence[int]) -> None:
        """Append rows `sources` of a prefilled cache whose visible columns are `mask` [n, width]."""
        start, end, columns = self.rows, self.rows + len(sources), mask.shape[1]
        if start == 0:
            self._extend(columns - self.width)
        if columns > self.width:
            raise ValueError("a prefilled row is wider than the running rows")
        chosen = torch.tensor(sources)
        self.mask[start:end, : self.width] = False
        self.mask[start:end, self.width - columns : self.width] = mask[chosen]
        for layer, (keys, values) in zip(self._layers_in_place, states(prefilled), strict=True):
            layer.put(keys[chosen], values[chosen], start)
        self.rows = end
        self._share_rows()

    def remove(self, row: int) -> None:
        """Free a row: the last row takes its place."""
        last = self.rows - 1
        self.mask[row] = self.mask[last]
        for layer in self._layers_in_place:
            layer.move(last, row)
        self.rows = last
        self._share_rows()

    def open_column(self) -> Tensor:
        """The mask [rows, width] of the next step, one column wider. Full buffers are shifted."""
        if self.width == self.columns:
            unused = int(self.mask[: self.rows].any(0).int().argmax())
            self.mask = self.mask.roll(-unused, 1)
            for layer in self._layers_in_place:
                layer.shift(unused)
            self.width -= unused
        self.mask[: self.rows, self.width] = True
        self.width += 1
        return self.mask[: self.rows, : self.width]

    def _extend(self, columns: int) -> None:
        self.width += columns
        for layer in self._layers_in_place:
            layer.width = self.width

    def _share_rows(self) -> None:
        for layer in self._layers_in_place:
            layer.rows = self.rows


class _KVLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer of a `KVCache`: buffers [rows, heads, columns, size] of which a corner is in use."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most_rows, self.columns = rows, columns
        self.rows = self.width = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new columns in place and return everything that the rows may attend to."""
        end = self.width + key_states.shape[2]
        self.key_buffer[: self.rows, :, self.width : end] = key_states
        self.value_buffer[: self.rows, :, self.width : end] = value_states
        self.width = end
        return self.key_buffer[: self.rows, :, :end], self.value_buffer[: self.rows, :, :end]

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.width

    def put(self, keys: Tensor, values: Tensor, start: int) -> None:
        """Write rows from `start`, right-aligned at the current width."""
        if not self.is_initialized:
            shape = (self.most_rows, keys.shape[1], self.columns)
            self.key_buffer = torch.zeros(*shape, keys.shape[3], dtype=keys.dtype)
            self.value_buffer = torch.zeros(*shape, values.shape[3], dtype=values.dtype)
            self.is_initialized = True
        end, first = start + keys.shape[0], self.width - keys.shape[2]
        self.key_buffer[start:end, :, first : self.width] = keys
        self.value_buffer[start:end, :, first : self.width] = values

    def move(self, source: int, target: int) -> None:
        """Copy one row over another."""
        self.key_buffer[target, :, : self.width] = self.key_buffer[source, :, : self.width]
        self.value_buffer[target, :, : self.width] = self.value_buffer[source, :, : self.width]

    def shift(self, columns: int) -> None:
        """Drop the first `columns` columns."""
        self.key_buffer = self.key_buffer.roll(-columns, 2)
        self.value_buffer = self.value_buffer.roll(-columns, 2)
        self.width -= columns
