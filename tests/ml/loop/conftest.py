"""A whole small world: an embedded chain, a subnet with a validator and miners, and a tiny competition.

Models have two layers and are made from a seed; the chain seals a block per submission and is advanced by
hand, so nothing here waits for a clock.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import bittensor as bt
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import shared.competitions
from localnet.genesis import Genesis, create_chain
from localnet.substrate import LocalSubstrate
from miner.package import package
from shared.chain.client import ChainClient
from shared.chain.commitment import Locator, commitment_digest, encode_commitment
from shared.chain.connect import connect
from shared.chain.wallets import hotkey_of
from shared.checkpoints.bundle import Bundle
from shared.checkpoints.stores import FileStore
from shared.competition import read_rules
from shared.evaluation.pools import load_prompt_source, make_pool
from shared.evaluation.tiny import build_tiny_policy, build_tiny_trunk
from shared.models.prompt import Prompt
from shared.models.wire import canonical_json
from shared.settings import Settings
from shared.types import Hotkey, JudgeName, Netuid, SliceName
from validator.building import Ingredients, build_bundle
from validator.house import House
from validator.owner import SubnetWish, init_subnet
from validator.publishing import log_place, publish_competition
from validator.wiring import open_house

ROLES = ("owner", "validator", "first", "second", "third", "fourth")
SLICES = (SliceName("instruct"), SliceName("constraints"))
RULES = read_rules(Path(shared.competitions.__path__[0]) / "demo.toml")
SMALL = {
    **RULES,
    "name": "tiny",
    "schedule": {"start_block": 0, "round_blocks": 20, "fetch_blocks": 4, "grace_blocks": 1, "slots": 4},
    "sampling": {
        **RULES["sampling"],
        "engine": {"dtype": "float32", "threads": 1, "batch": 64},
        "limits": {"prompt_tokens": 96, "new_tokens": 20},
    },
    "duel": {
        **RULES["duel"],
        "prompts": {"look": 16, "min": 32, "max": 64, "carried_rounds": 1, "gain": 64, "identity": 16},
    },
}


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base policy: it ends its answers, but often talks too long."""
    target = tmp_path_factory.mktemp("tiny-base")
    build_tiny_policy(1, target)
    return target


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge with one label over a random trunk: it likes some answers more than others."""
    from transformers import BertConfig, BertForSequenceClassification

    target = tmp_path_factory.mktemp("tiny-judge")
    build_tiny_trunk(3, target)
    torch.manual_seed(3)
    config = BertConfig.from_pretrained(target, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(target)
    return target


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_judge: Path) -> Bundle:
    """A built competition, its round 0 not scheduled yet."""
    brought, out = tmp_path_factory.mktemp("brought"), tmp_path_factory.mktemp("bundle")
    source = load_prompt_source()

    def write(name: str, prompts: tuple[Prompt, ...]) -> Path:
        path = brought / f"{name}.jsonl"
        path.write_bytes(b"".join(canonical_json(prompt) + b"\n" for prompt in prompts))
        return path

    pools = {name: write(name, make_pool(source, name, "pool", 400)) for name in SLICES}
    asked = tuple(p for name in SLICES for p in make_pool(source, name, "reference", 64))
    public = tuple(p for name in SLICES for p in make_pool(source, name, "public", 64))
    ingredients = Ingredients(
        rules=SMALL,
        base=tiny_base,
        sources=("tiny:1",),
        pools=pools,
        judges={JudgeName("held-out"): tiny_judge},
        proxy=None,
        public_prompts=write("public", public),
        reference=write("reference", asked),
        reference_samples=2,
    )
    return build_bundle(ingredients, out / "bundle")


@pytest.fixture(scope="session")
def better(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The base after a few steps on short answers: better at word limits, and it ends in time."""
    return tune(tiny_base, tmp_path_factory.mktemp("better"), "{Thing} is a good thing to have.", seed=5)


@pytest.fixture(scope="session")
def worse(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The base after a few steps on answers that never end."""
    return tune(tiny_base, tmp_path_factory.mktemp("worse"), "It is old. " * 20, seed=6)


def tune(base: Path, target: Path, answer: str, seed: int) -> Path:
    """Fine-tune the base on one kind of answer to the public prompts, for a few steps."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    prompts = [p for name in SLICES for p in make_pool(load_prompt_source(), name, "public", 96)]
    for step in range(60):
        texts = [_chat(tokenizer, prompt, answer) for prompt in prompts[step % 12 :: 12]]
        batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
        loss = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(target)
    return target


def _chat(tokenizer: object, prompt: Prompt, answer: str) -> str:
    word = prompt.id.rsplit("-", 1)[1]
    message = [{"role": "user", "content": prompt.text}]
    opening = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)  # type: ignore[attr-defined]
    return opening + answer.format(Thing=f"A {word}") + "<|im_end|>"


@dataclass
class Arena:
    """One subnet on one chain, with the hands of every role."""

    settings: Settings
    wallets: dict[str, bt.Wallet]
    netuid: Netuid
    bundle: Path

    def hotkey(self, role: str) -> Hotkey:
        return hotkey_of(self.wallets[role])

    def advance(self, blocks: int) -> int:
        """Seal blocks; returns the new head."""

        async def run() -> int:
            substrate = LocalSubstrate(self.settings.localnet)
            await substrate.connect()
            await asyncio.to_thread(substrate.advance, blocks)
            head = await substrate.block_number()
            await substrate.close()
            return head

        return asyncio.run(run())

    async def submit(self, chain: ChainClient, role: str, weights: Path, competition: str) -> str:
        """Commit and publish a checkpoint directory at once; returns the committed digest."""
        packed = package(weights, self.settings.state / "packed" / role)
        self.settings.store.mkdir(parents=True, exist_ok=True)
        FileStore(self.settings.store, role).publish(packed.path, packed.manifest)
        digest = commitment_digest(competition, packed.manifest.digest, self.hotkey(role))  # type: ignore[arg-type]
        text = encode_commitment(digest, Locator("file", role))
        await chain.commit(self.wallets[role], self.netuid, text)
        return digest

    @asynccontextmanager
    async def house(self) -> AsyncIterator[House]:
        """The validator's house, opened as the command line opens it."""
        async with open_house(self.settings) as house:
            yield house


@pytest.fixture
def arena(tmp_path: Path, tiny_bundle: Bundle) -> Arena:
    """A fresh chain with a started subnet, a staked validator with a permit, and a published competition."""
    wallets = {name: bt.Wallet(name, "default", str(tmp_path / "wallets")) for name in ROLES}
    for wallet in wallets.values():
        wallet.create_new_coldkey(use_password=False, suppress=True)
        wallet.create_new_hotkey(use_password=False, suppress=True)
    funds = {wallet.coldkeypub.ss58_address: 10_000 * 10**9 for wallet in wallets.values()}
    chain_file = tmp_path / "chain.db"
    create_chain(chain_file, Genesis.preset("dev", block_time_s=0, entropy_seed="loop", extra=funds))
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.root, bundle)
    settings = Settings.load(
        network="embedded",
        localnet=chain_file,
        wallet="validator",
        wallet_path=tmp_path / "wallets",
        state=tmp_path / "state",
        store=tmp_path / "store",
        bundle=bundle,
        netuid=1,
    )
    netuid = asyncio.run(_set_up(settings, wallets, bundle))
    world = Arena(settings, wallets, netuid, bundle)
    return world


async def _set_up(settings: Settings, wallets: dict[str, bt.Wallet], bundle: Path) -> Netuid:
    async with connect(settings) as chain:
        plan = await init_subnet(chain, wallets["owner"], SubnetWish(round_blocks=20))
        assert plan.netuid is not None
        netuid = plan.netuid
        for role in ROLES[1:]:
            await chain.register(wallets[role], netuid)
        await chain.add_stake(wallets["validator"], netuid, 100, hotkey_of(wallets["validator"]))
        substrate = LocalSubstrate(settings.localnet)
        await asyncio.to_thread(substrate.advance, 25)
        place = log_place(settings, hotkey_of(wallets["owner"]))
        await publish_competition(chain, wallets["owner"], netuid, bundle, place)
    return netuid
