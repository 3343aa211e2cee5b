"""The validator's context: everything that the stages of the loop are handed.

`wiring.py` builds it; stages receive it and own nothing. It holds no state that a restart would miss,
but for the scoring task that is under way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from shared.chain.client import ChainClient
from shared.chain.wallets import Wallet
from shared.checkpoints.bundle import Bundle
from shared.checkpoints.download import checkpoint_path
from shared.duels.scorer import Scorer
from shared.protocol.competition import Competition
from shared.protocol.prompt import Prompt
from shared.settings import Settings
from shared.signing import HotkeySigner
from shared.types import Digest, Hotkey, Netuid, RoundNumber
from validator.ledger.database import Ledger

DrawnBatches = tuple[tuple[Prompt, ...], ...]


@dataclass
class ValidatorContext:
    """One validator at work on one competition."""

    chain: ChainClient
    ledger: Ledger
    bundle: Bundle
    scorer: Scorer
    wallet: Wallet
    """The wallet that signs extrinsics; only its hotkey is used."""
    signer: HotkeySigner
    hotkey: Hotkey
    netuid: Netuid
    settings: Settings
    """What stores are opened with."""
    cache: Path
    """Content-addressed checkpoints."""
    head: int = 0
    """Newest finalised block seen by this process."""
    chain_checked: bool = False
    """Whether this process has seen that the chain still holds what the ledger knows of it."""
    scoring: asyncio.Task[None] | None = None
    draws: dict[RoundNumber, DrawnBatches] = field(default_factory=dict)
    weight_state: str = "none"
    """What weighing last found: told in /health through the feed."""

    @property
    def rules(self) -> Competition:
        """The rules in force."""
        return self.bundle.rules

    @property
    def base_model(self) -> Digest:
        """Manifest digest of the base checkpoint: the champion at genesis."""
        return self.rules.base.digest

    def checkpoint_of(self, model: str) -> Path:
        """Directory of a checkpoint that was admitted, or of the base."""
        if model == self.base_model:
            return self.bundle.base
        return checkpoint_path(self.cache, Digest(model))
