"""A miner's world: an embedded chain, a funded wallet, a competition's bundle and a trained checkpoint."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from safetensors.numpy import save_file
from typer.testing import CliRunner

from localnet.chain import Chain
from localnet.genesis import Genesis, SubnetSeed, create_chain
from miner.cli.main import app
from shared.chain.dev_wallets import create_dev_wallet
from shared.chain.wallets import coldkey_of, hotkey_of
from shared.checkpoints.bundle import write_base_table, write_rules
from shared.checkpoints.manifest import build_manifest
from shared.protocol.competition import Competition
from shared.protocol.loader import parse_competition, read_rules
from shared.settings import Settings

RULES = Path(__file__).parents[1] / "rules.toml"

ROUND_BLOCKS = 20
FETCH_BLOCKS = 6


def _rules(base: str, table: str) -> Competition:
    document = read_rules(RULES)
    document["schedule"] |= {
        "round_blocks": ROUND_BLOCKS,
        "fetch_blocks": FETCH_BLOCKS,
        "grace_blocks": 1,
        "slots": 2,
    }
    document["base"]["digest"] = base
    document["architecture"]["table"] = table
    document["duel"]["prompts"]["gain"] = 16
    return parse_competition(document, source="test")


def _save_model(root: Path, scale: float) -> None:
    root.mkdir(parents=True)
    values = np.random.default_rng(7).normal(size=(6, 4)).astype("<f4") * np.float32(scale)
    save_file({"embed": values}, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))


@dataclass(frozen=True)
class World:
    """Where everything is, and the command line in it."""

    root: Path
    settings: Settings
    rules: Competition
    env: dict[str, str]

    def run(self, *arguments: str | Path, **more: Any) -> Result:
        """Run `agon-miner` with the settings in its environment."""
        return CliRunner().invoke(app, [str(part) for part in arguments], env=self.env, **more)

    def run_json(self, *arguments: str | Path) -> dict[str, Any]:
        """Run a command that must succeed, and return its document."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, (result.output, result.exception)
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    @property
    def checkpoint(self) -> Path:
        """A trained checkpoint, as a trainer leaves it."""
        return self.root / "checkpoint"

    @property
    def package(self) -> Path:
        """The same, packaged."""
        if not (self.root / "package").exists():
            assert self.run("package", self.checkpoint, "--out", self.root / "package").exit_code == 0
        return self.root / "package"

    @property
    def hotkey(self) -> str:
        """Address of the miner's hotkey."""
        return hotkey_of(create_dev_wallet(self.settings))

    @property
    def journal(self) -> Path:
        """The submit journal of the hotkey."""
        return self.settings.state / "submissions" / f"{self.hotkey}.json"

    def advance_to(self, block: int) -> None:
        """Make blocks until the head is `block`."""
        chain = Chain(self.settings.localnet)
        missing = block - chain.head()
        if missing > 0:
            chain.advance(missing)
        chain.close()

    def head(self) -> int:
        """The chain's height."""
        chain = Chain(self.settings.localnet)
        head = chain.head()
        chain.close()
        return head

    def commits(self) -> int:
        """How many commitments were ever made on this chain."""
        chain = Chain(self.settings.localnet)
        blocks = [chain.block(number) for number in range(chain.head() + 1)]
        chain.close()
        return sum("set_commitment" in json.dumps(block.extrinsics) for block in blocks if block)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWorld:
    """`make_world(block_time_s=0, registered=True)` on a fresh chain."""
    monkeypatch.chdir(tmp_path)

    def make(*, block_time_s: float = 0, registered: bool = True) -> World:
        bundle = tmp_path / "bundle"
        _save_model(bundle / "base", 1.0)
        _save_model(tmp_path / "checkpoint", 1.01)
        (tmp_path / "checkpoint" / "optimizer.pt").write_bytes(b"state")
        rules = _rules(build_manifest(bundle / "base").digest, write_base_table(bundle))
        write_rules(bundle, rules)
        env = {
            "BT_NETWORK": "embedded",
            "BT_WALLET_PATH": str(tmp_path / "wallets"),
            "AGON_LOCALNET": str(tmp_path / "chain.db"),
            "AGON_NETUID": "1",
            "AGON_STATE": str(tmp_path / "state"),
            "AGON_STORE": str(tmp_path / "store"),
            "AGON_BUNDLE": str(bundle),
        }
        settings = Settings.load(
            network="embedded",
            wallet_path=tmp_path / "wallets",
            localnet=tmp_path / "chain.db",
            state=tmp_path / "state",
            store=tmp_path / "store",
        )
        world = World(tmp_path, settings, rules, env)
        coldkey = coldkey_of(create_dev_wallet(settings))
        owner = SubnetSeed(owner_hotkey="//Bob", owner_coldkey="//Bob")
        extra = {coldkey: 10_000_000_000}
        genesis = Genesis.preset("dev", block_time_s=block_time_s, subnets=(owner,), extra=extra)
        create_chain(settings.localnet, genesis)
        if registered:
            world.run_json("register", "--yes")
        return world

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A registered miner on a chain that makes a block for each call only."""
    return make_world()


@pytest.fixture
def bare_world(make_world: MakeWorld) -> World:
    """The same, not registered."""
    return make_world(registered=False)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BT_NETWORK", "BT_WALLET", "BT_WALLET_HOTKEY", "AGON_CONFIG", "AGON_API"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spoil() -> Callable[[Path], None]:
    """Give a checkpoint three faults."""

    def act(root: Path) -> None:
        values = np.full((6, 4), np.nan, "<f4")
        save_file({"embed": values, "extra": np.ones(2, "<f4")}, root / "model.safetensors")
        (root / "config.json").write_text(json.dumps({"architectures": ["X"], "auto_map": {}}))
        shutil.rmtree(root / "nothing", ignore_errors=True)

    return act


@dataclass(frozen=True)
class Served:
    """A validator's API of canned answers: (status, document) by path, or a function that gives them."""

    url: str
    answers: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def api() -> Iterator[Served]:
    """A server that answers 404 `not_found` until a test says otherwise."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path, (404, {"code": "not_found", "message": "no"}))
            status, document = found() if callable(found) else found
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Served(f"http://127.0.0.1:{server.server_port}", answers)
    server.shutdown()
    thread.join()
    server.server_close()
