"""Build-time checks of a competition's numbers against its pools.

Owners run it before they publish rules: numbers that could starve a draw or prove nothing about a
slice are refused here, where they can still be changed. It reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.errors import AgonError
from shared.protocol.competition import Competition, Slice
from shared.protocol.prompt import Prompt
from shared.types import SliceName

MIN_CLUSTERS = 50
"""Fewer template clusters make the rows of a slice depend on each other too much."""


def check_bundle_numbers(rules: Competition, pools: Mapping[SliceName, Sequence[Prompt]]) -> None:
    """Raise AgonError `pool_too_small` or `competition_invalid` for the first number that cannot work."""
    for part in rules.slices:
        _check_pool(rules, part, pools.get(part.name, ()))
        precision = rules.slice_precision(part)
        if precision > rules.duel.slice_tolerance:
            message = (
                f"slice {part.name!r}: prompts.gain leaves 1.645 standard errors of {precision:.3f}, "
                f"more than slice_tolerance {rules.duel.slice_tolerance:g}"
            )
            raise AgonError("competition_invalid", message)


def _check_pool(rules: Competition, part: Slice, prompts: Sequence[Prompt]) -> None:
    needed = rules.prompts_per_round(part)
    if len(prompts) < needed:
        message = f"slice {part.name!r} has {len(prompts)} prompts; one round can use {needed}"
        raise AgonError("pool_too_small", message)
    clusters = len({prompt.cluster for prompt in prompts})
    if clusters < MIN_CLUSTERS:
        message = f"slice {part.name!r} has {clusters} template clusters; at least {MIN_CLUSTERS} are needed"
        raise AgonError("competition_invalid", message)
    if (len(prompts), clusters) != (part.pool.size, part.pool.clusters):
        message = (
            f"slice {part.name!r} has {len(prompts)} prompts in {clusters} clusters; "
            f"the rules say {part.pool.size} in {part.pool.clusters}"
        )
        raise AgonError("competition_invalid", message)
