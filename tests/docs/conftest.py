"""A working directory in which the pages' commands can be followed: a bundle, a checkpoint and a ledger."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import shared.competitions
from shared.checkpoints.bundle import write_base_table, write_rules
from shared.checkpoints.manifest import build_manifest
from shared.protocol.loader import parse_competition, read_rules
from validator.ledger.database import World, open_ledger

ZERO = "sha256:" + "0" * 64


def _save_model(root: Path, scale: float) -> None:
    root.mkdir(parents=True)
    values = np.random.default_rng(7).normal(size=(6, 4)).astype("<f4") * np.float32(scale)
    save_file({"embed": values}, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty home, a miner's copy of a bundle under the demo's rules, a checkpoint and a fresh ledger."""
    place = tmp_path / "work"
    (place / "home").mkdir(parents=True)
    _save_model(place / "bundle" / "base", 1.0)
    _save_model(place / "checkpoint", 1.01)
    (place / "checkpoint" / "optimizer.pt").write_bytes(b"state")
    rules = read_rules(Path(shared.competitions.__path__[0]) / "demo.toml")
    rules["base"] = {"digest": build_manifest(place / "bundle" / "base").digest}
    rules["architecture"] = {**rules["architecture"], "table": write_base_table(place / "bundle")}
    rules["judges"] = [{"name": "held-out", "digest": ZERO, "from_round": 0}]
    pool = {"root": ZERO, "size": 1024, "clusters": 64}
    rules["slices"] = [{**part, "pool": pool, "reference": ZERO} for part in rules["slices"]]
    write_rules(place / "bundle", parse_competition(rules, source="test"))
    open_ledger(f"sqlite:///{place / '.agon' / 'ledger.db'}", World("0x00", 1, "hotkey")).close()
    return place
