"""An embedded chain, funded wallets, and a tiny bundle that its rules fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import bittensor as bt
import numpy as np
import pytest
from safetensors.numpy import save_file

from localnet.genesis import Genesis, create_chain
from localnet.substrate import LocalSubstrate
from shared.chain.client import ChainClient
from shared.checkpoints.bundle import write_base_table, write_pool, write_reference, write_rules
from shared.checkpoints.manifest import build_manifest
from shared.protocol.loader import parse_competition, read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.reference import LengthReference, Reference
from shared.settings import Settings
from shared.types import PromptId, SliceName

RULES = Path(__file__).parents[2] / "rules.toml"

World = Callable[[], AbstractAsyncContextManager[tuple[ChainClient, LocalSubstrate]]]
WORDS = SliceName("words")


@pytest.fixture
def wallets(tmp_path: Path) -> dict[str, bt.Wallet]:
    made = {name: bt.Wallet(name, "default", str(tmp_path / "wallets")) for name in ("owner", "other")}
    for wallet in made.values():
        wallet.create_new_coldkey(use_password=False, suppress=True)
        wallet.create_new_hotkey(use_password=False, suppress=True)
    return made


@pytest.fixture
def settings(tmp_path: Path, wallets: dict[str, bt.Wallet]) -> Settings:
    """Settings of a chain on which every wallet has 1000 TAO."""
    funds = {wallet.coldkeypub.ss58_address: 1_000 * 10**9 for wallet in wallets.values()}
    path = tmp_path / "chain.db"
    create_chain(path, Genesis.preset("dev", block_time_s=0, entropy_seed="tests", extra=funds))
    return Settings.load(
        network="embedded", localnet=path, state=tmp_path / "state", store=tmp_path / "store"
    )


@pytest.fixture
def world(settings: Settings) -> World:
    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[ChainClient, LocalSubstrate]]:
        substrate = LocalSubstrate(settings.localnet)
        try:
            yield ChainClient(substrate, "local"), substrate
        finally:
            await substrate.close()

    return opened


@pytest.fixture
def bundle_root(tmp_path: Path) -> Path:
    """A bundle of one verifier slice and one judge, with a base of two small tensors."""
    root = tmp_path / "bundle"
    (root / "base").mkdir(parents=True)
    tensors = {"embed": np.ones((6, 4), np.float32), "norm.bias": np.zeros(4, np.float32)}
    save_file(tensors, root / "base" / "model.safetensors")
    (root / "base" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (root / "judges" / "minilm-a").mkdir(parents=True)
    (root / "judges" / "minilm-a" / "head.txt").write_text("weights")
    prompts = [
        Prompt(id=PromptId(f"w{i}"), slice=WORDS, cluster=f"c{i % 50}", text=f"Say {i}.") for i in range(60)
    ]
    lengths = LengthReference(mean=3.0, within_sd=1.0, low=1.0, high=9.0)
    reference = Reference(slice=WORDS, completions=100, lengths=lengths, nll_high=9.0, s_mean=0.5)
    document = read_rules(RULES)
    document["base"]["digest"] = build_manifest(root / "base").digest
    document["architecture"]["table"] = write_base_table(root)
    document["sampling"] |= {"limits": {"prompt_tokens": 8, "new_tokens": 8}, "stop_ids": [2]}
    document["slices"][0] |= {
        "pool": write_pool(root, WORDS, prompts).model_dump(),
        "reference": write_reference(root, reference),
    }
    judge = build_manifest(root / "judges" / "minilm-a").digest
    document["judges"] = [{"name": "minilm-a", "digest": judge, "from_round": 0}]
    document["duel"] |= {
        "prompts": {"look": 4, "min": 8, "max": 16, "carried_rounds": 2, "gain": 16, "identity": 8},
        "slice_tolerance": 0.3,
    }
    write_rules(root, parse_competition(document, source="test"))
    return root
