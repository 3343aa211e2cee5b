"""The demo's acts in their order: build, assemble, train, submit, duel, copy, pay.

Each act runs commands on the stage and remembers where things are. What comes out is read from the API
and the chain by `report.py`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import shared.competitions
from scripts.demo import cast
from scripts.demo.cast import OWNER, VALIDATOR, Cast
from scripts.demo.stage import DemoError, Stage
from shared.checkpoints.bundle import load_bundle, write_public_copy
from shared.engines.tiny import fit_rules
from shared.protocol.competition import Competition
from shared.protocol.loader import load_competition, read_rules
from shared.settings import Settings
from shared.types import RoundNumber

PARTS = ("-m", "scripts.demo.parts")
RULES = Path(shared.competitions.__path__[0]) / "demo.toml"
FINAL = {"settled", "rejected", "withheld", "expired"}
BLOCK_TIME_S = {True: 0.5, False: 2.0}
"""Seconds per block for tiny models and for real ones: a round outlasts the start of a command."""
SPARE_BLOCKS = 25
"""Blocks that a round must have left for a submission to enter it."""
DUELS_TIMEOUT_S = 2400.0
ANSWER_TIMEOUT_S = 300.0


class Play:
    """One performance: its seed, its places, and what happened so far."""

    cast: Cast
    rules: Competition
    api: subprocess.Popen[bytes]

    def __init__(self, stage: Stage, *, seed: int, tiny: bool, port: int) -> None:
        self.stage, self.seed, self.tiny = stage, seed, tiny
        self.root = stage.root.resolve()
        self.port = port or _free_port()
        self.settings = Settings.load(
            network="embedded",
            localnet=self.root / "chain.db",
            wallet_path=self.root / "wallets",
            store=self.root / "store",
            state=self.root / "state",
        )
        self.bundle, self.public = self.root / "bundle", self.root / "public"
        self.parts: dict[str, Any] = {}
        self.reports: dict[str, Any] = {}

    def perform(self) -> None:
        """All acts."""
        self.prepare()
        self.build()
        self.assemble()
        self.train()
        self.open_validator()
        self.compete(
            "duels", "honest, degenerate and hostile miners compete", ("honest", "degenerate"), ("hostile",)
        )
        self.copy()
        self.compete(
            "copies", "copycat and noised copy try the winner's tensors", ("copycat", "noised_copy"), ()
        )
        self.pay()

    # Before the chain ------------------------------------------------------------

    def part(self, name: str, *arguments: object) -> str:
        """Run one heavy part in its own process."""
        tiny = ["--tiny"] if self.tiny and name in {"base", "judges", "honest"} else []
        return self.stage.run(f"part-{name}", sys.executable, *PARTS, name, *map(str, arguments), *tiny)

    def prepare(self) -> None:
        """Base model and judge trunk, prompts, and the two judges."""
        with self.stage.scene("base", "fetch and convert the base model"):
            self.parts = json.loads(self.part("base", "--seed", self.seed))
            self.part("prompts", self.root / "brought", "--seed", self.seed)
            rules = read_rules(RULES)
            if self.tiny:
                rules = {**fit_rules(rules), "name": "demo-tiny"}
            self.rules_file = self.root / "brought" / "rules.json"
            self.rules_file.write_text(json.dumps(rules))
        with self.stage.scene("judges", "train the proxy and the held-out judge"):
            where = ("--base", self.parts["base"], "--trunk", self.parts["trunk"], "--rules", self.rules_file)
            self.part("judges", self.root / "judges", *where, "--seed", self.seed)
            for name in ("proxy", "held-out"):
                self.reports[name] = json.loads((self.root / "judges" / f"{name}.json").read_text())

    def build(self) -> None:
        """The competition's bundle, with reference statistics measured by sampler and judges."""
        brought, judges = self.root / "brought", self.root / "judges"
        with self.stage.scene("reference", "build the competition"):
            self.stage.run(
                "build",
                *("agon-validator", "competition", "build", "--out", str(self.bundle)),
                *("--base", self.parts["base"], "--rules", str(self.rules_file)),
                *("--pools", str(brought / "pools"), "--reference", str(brought / "reference.jsonl")),
                *("--prompts", str(brought / "public.jsonl"), "--proxy", str(judges / "proxy")),
                *("--judge", f"held-out={judges / 'held-out'}", "--not-validated-on-human-pairs"),
                "--no-check-temperature",  # minutes, for an owner who has not chosen one yet
            )

    def assemble(self) -> None:
        """Chain, wallets, subnet, and the published rules."""
        with self.stage.scene("chain", "start a chain, register everybody, publish the rules"):
            keys = cast.make_wallets(self.settings)
            coldkeys = [coldkey for _, coldkey in keys.values()]
            time_s = BLOCK_TIME_S[self.tiny]
            cast.make_chain(self.settings, coldkeys, seed=self.seed, block_time_s=time_s)
            self.settings.store.mkdir(parents=True)
            self.stage.start("localnet", "agon-localnet", "start")
            hotkeys = {role: hotkey for role, (hotkey, _) in keys.items()}
            blocks = load_competition(self.bundle / "competition.json").schedule.round_blocks
            self.cast = cast.assemble(self.stage, self.settings, hotkeys, blocks)
            self.netuid = str(self.cast.netuid)
            publish = ("agon-validator", "competition", "publish", "-w", OWNER, "--netuid", self.netuid)
            self.stage.run("publish", *publish, "--bundle", str(self.bundle))
            self.rules = load_bundle(self.bundle).rules
            write_public_copy(self.bundle, self.public)

    def train(self) -> None:
        """The honest miner's checkpoint, by DPO from the public copy; then the cheap bad ones."""
        made = self.root / "made"
        with self.stage.scene("training", "honest miner: sample, rank by the public proxy, DPO"):
            report = self.part("honest", made / "honest", "--bundle", self.public, "--seed", self.seed)
            self.reports["training"] = json.loads(report.strip().splitlines()[-1])
        with self.stage.scene("edits", "degenerate and hostile miners: edit the base's tensors"):
            base = ("--base", self.bundle / "base")
            self.part("degenerate", made / "degenerate", *base)
            report = self.part("hostile", made / "hostile", *base, "--seed", self.seed)
            self.reports["hostile"] = json.loads(report.strip().splitlines()[-1])

    # On the chain ----------------------------------------------------------------

    def open_validator(self) -> None:
        """The validator's loop and its API."""
        with self.stage.scene("validator", "start the validator and its API"):
            state = ("--state", str(self.root / "validator"))
            place = ("-w", VALIDATOR, "--netuid", self.netuid, "--bundle", str(self.bundle))
            self.stage.start("validator", "agon-validator", "run", *place, *state)
            ledger = self.root / "validator" / "ledger.db"
            self.stage.wait("the ledger", ledger.exists, timeout_s=ANSWER_TIMEOUT_S)
            pace = ("--port", str(self.port), "--block-time", str(BLOCK_TIME_S[self.tiny]))
            self.api = self.stage.start("api", "agon-validator", "serve", *state, *pace)
            self.stage.wait("the API", lambda: self.ask("/health"), timeout_s=ANSWER_TIMEOUT_S)

    def compete(self, name: str, title: str, roles: tuple[str, ...], by_hand: tuple[str, ...]) -> None:
        """One round: commit before its close, publish after it, and wait for every outcome."""
        with self.stage.scene(name, title) as tell:
            close = self._enter_round()
            made = self.root / "made"
            children = {role: self._submit(role, made / role) for role in roles}
            for role in by_hand:
                cast.commit_by_hand(self.cast, role, made / role, self.rules.digest)
            entered = (*roles, *by_hand)
            tell("commit")
            self.stage.wait(
                "commitments", lambda: cast.committed(self.cast, entered), timeout_s=ANSWER_TIMEOUT_S
            )
            cast.advance_to(self.settings, close + 1)
            tell("publish after the close")
            for role, child in children.items():
                self.stage.finish(f"submit-{role}", child)
            self.stage.wait("verdicts", lambda: self._all_final(entered, tell), timeout_s=DUELS_TIMEOUT_S)

    def _enter_round(self) -> int:
        """Close of the round that submissions go into; a nearly finished one is left to pass."""
        schedule = self.rules.schedule
        head = cast.advance_to(self.settings, schedule.start_block)
        close = schedule.close(schedule.round_at(head))
        if close - head < SPARE_BLOCKS:
            cast.advance_to(self.settings, close + 1)
            close = schedule.close(RoundNumber(schedule.round_at(close) + 1))
        return close

    def _submit(self, role: str, checkpoint: Path) -> subprocess.Popen[bytes]:
        packed = self.root / "packed" / role
        self.stage.run(f"package-{role}", "agon-miner", "package", str(checkpoint), "--out", str(packed))
        place = (
            "-w",
            role,
            "--netuid",
            self.netuid,
            "--bundle",
            str(self.public),
            "--locator",
            f"file:{role}",
            "--api",
            f"http://127.0.0.1:{self.port}",
        )
        return self.stage.start(f"submit-{role}", "agon-miner", "submit", str(packed), *place)

    def _all_final(self, roles: tuple[str, ...], tell: Any) -> bool:
        states = {role: self.submission(role) for role in roles}
        parts = []
        for role, item in states.items():
            prompts = max((duel["prompts"] for duel in item.get("duels", [])), default=0)
            parts.append(
                f"{role} {item.get('state', 'unseen')}" + (f" after {prompts} prompts" if prompts else "")
            )
        tell(", ".join(parts))
        return all(item.get("state") in FINAL for item in states.values())

    def copy(self) -> None:
        """What copiers can do once the winner's files are public."""
        with self.stage.scene("copying", "copycat and noised copy take the published tensors"):
            published = self.settings.store / "honest"
            self.part(
                "noised", self.root / "made" / "noised_copy", "--source", published, "--seed", self.seed
            )
            copy = self.root / "made" / "copycat"
            copy.mkdir()
            (copy / "model.safetensors").write_bytes((published / "model.safetensors").read_bytes())

    def pay(self) -> None:
        """Wait until the weights are on chain, then let an epoch run."""
        with self.stage.scene("pay", "set weights, run an epoch"):
            honest = self.cast.hotkeys["honest"]

            def weighed() -> bool:
                weights = self.ask("/v1/weights") or {}
                return weights.get("state") == "confirmed" and honest in weights.get("vector", {})

            self.stage.wait("weights", weighed, timeout_s=ANSWER_TIMEOUT_S)
            tempo_and_one = 21
            cast.advance_to(self.settings, cast.head_of(self.settings) + tempo_and_one)

    # Questions -------------------------------------------------------------------

    def ask(self, path: str) -> Any:
        """A document of the API; none while it has no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            return None
        except OSError:
            return None

    def submission(self, role: str) -> dict[str, Any]:
        """What the API says of a role's newest submission."""
        page = self.ask(f"/v1/submissions/{self.cast.hotkeys[role]}") or {"items": []}
        return page["items"][0] if page["items"] else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require(found: Any, what: str) -> Any:
    """`found`, or the end of the demo."""
    if not found:
        raise DemoError(f"the API has no {what}")
    return found
