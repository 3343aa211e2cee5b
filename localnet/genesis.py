"""Writing block 0.

Owns `create_chain`: funds the accounts, creates the subnets that genesis asks for and runs their first
epoch, so that staked validators hold permits. Refuses to overwrite a chain.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from localnet.epoch import run_epoch
from localnet.extrinsic import hash_block
from localnet.ledger import add_stake_to, claim_hotkey
from localnet.parameters import Genesis, NeuronSeed, SubnetSeed, dev_accounts, resolve_account
from localnet.producer import draw_entropy
from localnet.store import (
    SCHEMA,
    SCHEMA_VERSION,
    State,
    canonical,
    open_database,
    write_meta,
    writing,
)
from localnet.subnets import create_subnet, fund, register_neuron, start_subnet

__all__ = ["Genesis", "NeuronSeed", "SubnetSeed", "create_chain", "dev_accounts", "remove_chain"]
ZERO_HASH = "0x" + "00" * 32


def create_chain(path: Path, genesis: Genesis) -> None:
    """Create the chain file with its block 0; FileExistsError if there is one already.

    The file appears complete or not at all: it is written beside its place and then linked there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    remove_chain(draft)
    try:
        _write_block_zero(draft, genesis)
        os.link(draft, path)  # fails, rather than overwrites, if a chain is there
    finally:
        remove_chain(draft)


def remove_chain(path: Path) -> None:
    """Delete a chain file and what SQLite keeps beside it; nothing happens if there is none."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _write_block_zero(path: Path, genesis: Genesis) -> None:
    db = open_database(path)
    db.executescript(SCHEMA)
    now_ms = int(time.time() * 1_000)
    with writing(db):
        state = State(db, 0, genesis)
        funded = dict.fromkeys(dev_accounts().values(), genesis.dev_balance_rao)
        for account, rao in {**funded, **genesis.extra}.items():
            fund(state, account, rao)
        state.put("NetworksAdded", True, 0)
        for seed in genesis.subnets:
            _seed_subnet(state, seed, run_first_epoch=genesis.run_epoch)
        block_hash = hash_block(0, ZERO_HASH, [], draw_entropy(genesis, 0))
        row = (0, block_hash, ZERO_HASH, now_ms, canonical([]), canonical(state.events))
        db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)
        write_meta(db, "schema", str(SCHEMA_VERSION))
        write_meta(db, "genesis", genesis.model_dump_json())
        write_meta(db, "due_ms", str(now_ms + round(genesis.block_time_s * 1_000)))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _seed_subnet(state: State, seed: SubnetSeed, *, run_first_epoch: bool) -> None:
    owner, hotkey = resolve_account(seed.owner_coldkey), resolve_account(seed.owner_hotkey)
    claim_hotkey(state, owner, hotkey)
    netuid = create_subnet(state, owner, hotkey, state.genesis.lock_cost_rao)
    start_subnet(state, netuid)
    add_stake_to(state, hotkey, owner, netuid, seed.owner_stake_rao)
    for neuron in seed.neurons:
        neuron_hotkey, coldkey = resolve_account(neuron.hotkey), resolve_account(neuron.coldkey)
        claim_hotkey(state, coldkey, neuron_hotkey)
        register_neuron(state, netuid, neuron_hotkey)
        add_stake_to(state, neuron_hotkey, coldkey, netuid, neuron.stake_rao)
    if run_first_epoch:
        run_epoch(state, netuid)
