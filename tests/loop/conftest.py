"""A whole small world: an embedded chain, a subnet with a validator and miners, and a tiny competition.

Models have two layers and are made from a seed; the chain seals a block per submission and is advanced by
hand, so nothing here waits for a clock.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import bittensor as bt
import pytest
import torch
from sqlalchemy import select
from transformers import AutoModelForCausalLM, AutoTokenizer

import shared.competitions
from localnet.chain import Chain
from localnet.genesis import Genesis, create_chain
from miner.submit.package import Package, package
from scripts.demo.judges import BaseCompletion, CorruptionMix, JudgeRecipe, corrupt, train_judge
from shared.chain.commitment import Locator, commitment_digest, encode_commitment
from shared.chain.connect import connect
from shared.chain.wallets import hotkey_of
from shared.checkpoints.bundle import Bundle, load_bundle
from shared.checkpoints.stores import FileStore
from shared.competitions.pools import load_prompt_source, make_pool
from shared.engines.tiny import FOLLOWERS, OPENERS, build_tiny_trunk, fit_rules
from shared.governance.publish import log_target
from shared.protocol.competition import Competition
from shared.protocol.loader import read_rules
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.settings import Settings
from shared.types import Digest, Hotkey, JudgeName, Netuid, RoundNumber, SliceName
from validator.context import ValidatorContext
from validator.ledger.tables import Table
from validator.owner.build import BundleInputs, build_bundle
from validator.owner.publish import publish_competition
from validator.owner.subnet import SubnetOptions, init_subnet
from validator.wiring import open_context

T = TypeVar("T", bound=Table)
ROLES = ("owner", "validator", "first", "second", "third", "fourth", "fifth")
ROUND_BLOCKS = 60
SLICES = (SliceName("instruct"), SliceName("constraints"))
RULES = fit_rules(read_rules(Path(shared.competitions.__path__[0]) / "demo.toml"))
SMALL = {
    **RULES,
    "name": "tiny",
    "schedule": {
        "start_block": 0,
        "round_blocks": ROUND_BLOCKS,
        "fetch_blocks": 4,
        "grace_blocks": 1,
        "slots": 3,
    },
    "sampling": {
        **RULES["sampling"],
        "engine": {"dtype": "float32", "threads": 1, "batch": 64},
        "limits": {"prompt_tokens": 96, "new_tokens": 20},
    },
    "duel": {
        **RULES["duel"],
        "prompts": {"look": 16, "min": 32, "max": 128, "carried_rounds": 1, "gain": 64, "identity": 16},
    },
}


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge trained for a second to prefer one plain sentence over loops and rambling."""
    home, source, rng = tmp_path_factory.mktemp("tiny-judge"), load_prompt_source(), random.Random(3)
    build_tiny_trunk(3, home / "trunk")
    answers = []
    for prompt in make_pool(source, SLICES[0], "public", 96):
        thing = source.words.with_article(prompt.id.rsplit("-", 1)[1])
        opener = rng.choice(OPENERS).format(thing=thing, Thing=thing[0].upper() + thing[1:])
        answers.append(BaseCompletion(prompt.text, opener))
    mix = CorruptionMix(
        weights={"looped": 1, "padded": 2}, kept=(0.5, 0.9), loop_words=(3, 6), filler=FOLLOWERS
    )
    recipe = JudgeRecipe(epochs=2, learning_rate=2e-3)
    return train_judge(home / "trunk", corrupt(answers, mix, 3), home / "judge", 3, recipe)


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
    ingredients = BundleInputs(
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


@pytest.fixture(scope="session")
def tuning() -> Callable[..., Path]:
    """A miner's own method of training: `tune`."""
    return tune


def _chat(tokenizer: object, prompt: Prompt, answer: str) -> str:
    word = prompt.id.rsplit("-", 1)[1]
    message = [{"role": "user", "content": prompt.text}]
    opening = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)  # type: ignore[attr-defined]
    return opening + answer.format(Thing=f"A {word}") + "<|im_end|>"


@dataclass
class Arena:
    """One subnet on one chain, with the hands of every role."""

    root: Path
    settings: Settings
    wallets: dict[str, bt.Wallet]
    bundle: Bundle

    @classmethod
    def at(cls, root: Path) -> Arena:
        """The arena whose files lie below `root`."""
        wallets = {name: bt.Wallet(name, "default", str(root / "wallets")) for name in ROLES}
        settings = Settings.load(
            network="embedded",
            localnet=root / "chain.db",
            wallet="validator",
            wallet_path=root / "wallets",
            state=root / "state",
            store=root / "store",
            bundle=root / "bundle",
            netuid=1,
        )
        return cls(root, settings, wallets, load_bundle(root / "bundle"))

    def copy(self, root: Path) -> Arena:
        """The same world as it stands, somewhere else; nothing may have it open."""
        shutil.copytree(self.root, root)
        return Arena.at(root)

    @property
    def rules(self) -> Competition:
        return self.bundle.rules

    @property
    def netuid(self) -> Netuid:
        return self.settings.require_netuid()

    def hotkey(self, role: str) -> Hotkey:
        return hotkey_of(self.wallets[role])

    def advance(self, blocks: int) -> int:
        """Seal blocks; returns the new head."""
        chain = Chain(self.settings.localnet)
        try:
            return chain.advance(blocks)
        finally:
            chain.close()

    def advance_to(self, block: int) -> None:
        """Seal blocks up to `block`."""
        self.advance(max(0, block - self.head()))

    def close_round(self, number: int) -> None:
        """Seal blocks until a round's close is known, its seed too."""
        self.advance_to(self.rules.schedule.close(RoundNumber(number)) + 1)

    def head(self) -> int:
        return self.advance(0)

    async def commit(self, role: str, text: str) -> None:
        """Put any text into a role's commitment slot."""
        async with connect(self.settings) as chain:
            await chain.commit(self.wallets[role], self.netuid, text)

    async def submit(
        self, role: str, weights: Path, *, publish: bool = True, place: str | None = None
    ) -> Digest:
        """Commit to a checkpoint directory and publish it at once; returns the committed digest."""
        name = place or role
        packed = self.pack(role, weights)
        digest = commitment_digest(self.rules.digest, packed.manifest.digest, self.hotkey(role))
        await self.commit(role, encode_commitment(digest, Locator("file", name)))
        if publish:
            self.publish(name, packed)
        return digest

    def pack(self, role: str, weights: Path) -> Package:
        """The checkpoint as `agon-miner package` makes it."""
        return package(weights, self.root / "packed" / f"{role}-{weights.name}")

    def publish(self, place: str, packed: Package) -> None:
        """Put a package where its locator points."""
        FileStore(self.settings.store, place).publish(packed.path, packed.manifest)

    async def all_of(self, context: ValidatorContext, table: type[T]) -> list[T]:
        """Every row of a table, by key."""
        keys = table.__table__.primary_key.columns
        return await context.ledger.do(lambda session: list(session.scalars(select(table).order_by(*keys))))

    @asynccontextmanager
    async def context(self) -> AsyncIterator[ValidatorContext]:
        """The validator's context, opened as the command line opens it."""
        async with open_context(self.settings) as context:
            yield context


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle) -> Arena:
    """A chain with a started subnet, a staked validator with a permit, and a published competition."""
    root = tmp_path_factory.mktemp("template") / "world"
    root.mkdir()
    wallets = {name: bt.Wallet(name, "default", str(root / "wallets")) for name in ROLES}
    for wallet in wallets.values():
        wallet.create_new_coldkey(use_password=False, suppress=True)
        wallet.create_new_hotkey(use_password=False, suppress=True)
    funds = {wallet.coldkeypub.ss58_address: 10_000 * 10**9 for wallet in wallets.values()}
    create_chain(root / "chain.db", Genesis.preset("dev", block_time_s=0, entropy_seed="loop", extra=funds))
    shutil.copytree(tiny_bundle.root, root / "bundle")
    asyncio.run(_set_up(Arena.at(root)))
    return Arena.at(root)


@pytest.fixture
def arena(tmp_path: Path, template: Arena) -> Arena:
    """A world of one's own, in the first round."""
    return template.copy(tmp_path / "world")


async def _set_up(arena: Arena) -> None:
    arena.settings.store.mkdir()
    async with connect(arena.settings) as chain:
        owner = arena.wallets["owner"]
        plan = await init_subnet(chain, owner, SubnetOptions(round_blocks=ROUND_BLOCKS))
        assert plan.netuid == arena.netuid
        for role in ROLES[1:]:
            await chain.register(arena.wallets[role], arena.netuid)
        await chain.add_stake(arena.wallets["validator"], arena.netuid, 100, arena.hotkey("validator"))
        arena.advance(25)
        place = log_target(arena.settings, arena.hotkey("owner"))
        await publish_competition(chain, owner, arena.netuid, arena.root / "bundle", place)
