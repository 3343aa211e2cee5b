"""From a champion: a validator's real API names it, its store serves it, and only its own bytes are used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from miner.cli.main import app
from miner.submit.package import Package, package, read_lineage
from shared.checkpoints.bundle import load_bundle
from shared.checkpoints.download import list_cached
from shared.checkpoints.stores import FileStore
from shared.protocol.competition import Competition
from validator.ledger.database import World, open_ledger
from validator.ledger.rounds import enter_competition
from validator.ledger.tables import ReignRow, SubmissionRow

pytestmark = pytest.mark.torch

AUTHOR = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Realm:
    """A competition with a crowned champion, the API that tells of it, and a miner's command line."""

    root: Path
    api: str
    champion: Package

    @property
    def stored(self) -> Path:
        """The champion's weights where its author published them."""
        return self.root / "store" / "theirs" / WEIGHTS

    def run(self, *arguments: object) -> Result:
        """Run `agon-miner` with that API."""
        env = {
            "BT_NETWORK": "embedded",
            "AGON_API": self.api,
            "AGON_BUNDLE": str(self.root / "bundle"),
            "AGON_STATE": str(self.root / "state"),
            "AGON_STORE": str(self.root / "store"),
        }
        return CliRunner().invoke(app, [*map(str, arguments), "--json"], env=env)

    def files(self) -> set[str]:
        """Every file of the miner and the store, locks excepted."""
        found = (path for path in self.root.rglob("*") if path.is_file() and path.suffix != ".lock")
        found = (path for path in found if path.parent.name != "ledger")
        return {str(path.relative_to(self.root)) for path in found}


@pytest.fixture
def realm(
    bundle: Path, tiny_base: Path, tmp_path: Path, serving: Callable[[str], AbstractContextManager[str]]
) -> Iterator[Realm]:
    champion = _make_champion(tiny_base, tmp_path)
    rules = load_bundle(bundle, public=True).rules
    url = f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}"
    ledger = open_ledger(url, World("0x00", 1, AUTHOR))
    ledger.run(enter_competition, rules, rules.base.digest)
    ledger.run(_crown, rules, champion.manifest.digest)
    ledger.close()
    with serving(url) as api:
        yield Realm(tmp_path, api, champion)


def _make_champion(base: Path, root: Path) -> Package:
    """The base with every weight moved by a hair, packaged and published as `file:theirs`."""
    torch.manual_seed(7)
    moved = {name: t + 1e-3 * torch.randn_like(t) for name, t in load_file(base / WEIGHTS).items()}
    (root / "trained").mkdir()
    save_file(moved, root / "trained" / WEIGHTS, metadata={"format": "pt"})
    packed = package(root / "trained", root / "packed")
    (root / "store").mkdir()
    FileStore(root / "store", "theirs").publish(packed.path, packed.manifest)
    return packed


def _crown(session: Session, rules: Competition, model: str) -> None:
    """Round 0 was won by this model, as settling writes it."""
    session.get_one(ReignRow, 0).to_round = 0
    session.add(ReignRow(seq=1, competition=rules.digest, model=model, hotkey=AUTHOR, from_round=1))
    session.add(
        SubmissionRow(
            hotkey=AUTHOR,
            commit_block=7,
            competition=rules.digest,
            digest="sha256:" + "1" * 64,
            locator="file:theirs",
            seen_round=0,
            round=0,
            rank=0,
            state="settled",
            model=model,
            settled_round=0,
        )
    )


TRAIN = ("train", "-r", "raft", "--from", "champion", "--prompts", "8", "--epochs", "1", "--threads", "1")


def test_training_starts_from_the_champion_s_own_weights(realm: Realm, tiny_base: Path) -> None:
    out = realm.root / "mine"
    still = ("--learning-rate", "1e-12")  # so small that the weights show where they came from
    trained = realm.run(*TRAIN, *still, "--out", out)
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["parent"] == realm.champion.manifest.digest
    lineage = read_lineage(out, None)
    assert lineage is not None
    assert (lineage.parent, lineage.recipe) == (realm.champion.manifest.digest, "raft")
    made, theirs, base = (load_file(p / WEIGHTS) for p in (out, realm.champion.path, tiny_base))
    assert all(torch.allclose(made[name], theirs[name], atol=1e-6, rtol=0) for name in theirs)
    assert not any(torch.allclose(made[name], base[name], atol=1e-6, rtol=0) for name in theirs)


def test_a_champion_whose_stored_bytes_changed_is_refused_and_leaves_nothing(realm: Realm) -> None:
    data = bytearray(realm.stored.read_bytes())
    data[-1] ^= 1
    realm.stored.write_bytes(data)
    before = realm.files()
    for command in (
        (*TRAIN, "--out", realm.root / "mine"),
        ("score", realm.champion.path, "--against", "champion"),
    ):
        refused = realm.run(*command)
        assert refused.exit_code == 1, refused.output
        error = json.loads(refused.stdout)["error"]
        assert (error["code"], "another digest" in error["message"]) == ("digest_mismatch", True)
        assert realm.files() == before
        assert not (realm.root / "mine").exists() and not (realm.root / ".mine.training").exists()


@pytest.mark.slow
def test_a_dry_run_against_the_champion_plays_its_own_weights(realm: Realm) -> None:
    """The champion's own weights are told from nobody's; they were fetched and verified, not assumed."""
    played = realm.run(
        *("score", realm.champion.path, "--against", "champion", "--prompts", "32"),
        *("--runs", "20", "--trial", "1", "--slots", "1"),
    )
    assert played.exit_code == 0, played.output
    found = json.loads(played.stdout)
    assert (found["against"], found["trial"], found["slots"]) == ("champion", 1, 1)
    assert found["chance"] == 0.0
    assert abs(found["mean"]) < 0.1
    (cached,) = list_cached(realm.root / "state" / "cache")
    assert cached == realm.champion.manifest.digest
