"""The domain's value types: names for the plain strings and numbers that cross module borders.

Every package uses them; this module knows nothing of any other. They cost nothing at run time and
stop a hotkey from being passed where a digest is meant.
"""

from typing import NewType

Hotkey = NewType("Hotkey", str)
"""ss58 address of a hotkey."""

Coldkey = NewType("Coldkey", str)
"""ss58 address of a coldkey."""

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits."""

Uid = NewType("Uid", int)
"""Index of a neuron inside its subnet; recycled by the chain, so never a key of ours."""

Netuid = NewType("Netuid", int)
"""Number of a subnet."""

BlockNumber = NewType("BlockNumber", int)
"""Height of a block of the chain."""

RoundNumber = NewType("RoundNumber", int)
"""Round r of a competition closes at `start_block + (r + 1) * round_blocks - 1`."""

PromptId = NewType("PromptId", str)
"""Identifier of a prompt, unique inside a pool."""

SliceName = NewType("SliceName", str)
"""Name of one slice of a competition's prompts."""

JudgeName = NewType("JudgeName", str)
"""Name of one judge of a competition."""
