"""Making one block.

Owns what goes into a block: epochs first, then the pool in order of arrival, then the hash and the time
at which the next one is due. Runs inside a transaction that its caller has opened; `chain.py` decides when.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from localnet.extrinsic import SignedCall, decode_extrinsic, describe_extrinsic, hash_block
from localnet.ledger import read_account
from localnet.parameters import Genesis
from localnet.runtime import SHIELD, apply_extrinsic, begin_block, can_pay
from localnet.store import State, canonical, read_meta, write_meta

MAX_EXTRINSICS_PER_BLOCK = 512


@dataclass
class _Draft:
    """The block being made."""

    state: State
    genesis_hash: str
    extrinsics: list[dict[str, Any]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)


def make_block(db: sqlite3.Connection, genesis: Genesis, genesis_hash: str, now_ms: int) -> None:
    """Add one block; the next one is due one interval after this one's slot.

    On time, slots are exactly one interval apart. After a pause they restart from now, so a chain that
    slept never catches up in a burst.
    """
    query = "SELECT number, hash, timestamp_ms FROM blocks ORDER BY number DESC LIMIT 1"
    parent_number, parent, parent_ms = db.execute(query).fetchone()
    interval_ms = max(1, round(genesis.block_time_s * 1_000))
    due_ms = int(read_meta(db, "due_ms"))
    slot_ms = due_ms if 0 <= now_ms - due_ms < interval_ms else now_ms
    draft = _Draft(State(db, parent_number + 1, genesis), genesis_hash)
    begin_block(draft.state)
    _apply_pool(draft)
    number = draft.state.block
    block_hash = hash_block(number, parent, draft.hashes, draw_entropy(genesis, number))
    timestamp_ms = max(slot_ms, parent_ms + interval_ms)
    contents = (canonical(draft.extrinsics), canonical(draft.state.events))
    db.execute(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", (number, block_hash, parent, timestamp_ms, *contents)
    )
    write_meta(db, "due_ms", str(slot_ms + interval_ms))


def draw_entropy(genesis: Genesis, number: int) -> bytes:
    """32 bytes for a block's hash: random, or derived from the genesis' entropy seed."""
    if genesis.entropy_seed is None:
        return os.urandom(32)
    return blake2b(f"{genesis.entropy_seed}/{number}".encode(), digest_size=32).digest()


def _apply_pool(draft: _Draft) -> None:
    """Run the pool in order of arrival; what has expired is dropped, what is too early waits."""
    db = draft.state.db
    query = "SELECT seq, raw FROM pool ORDER BY seq LIMIT ?"
    for seq, raw in db.execute(query, (MAX_EXTRINSICS_PER_BLOCK,)).fetchall():
        extrinsic = decode_extrinsic(raw.encode())
        nonce = read_account(draft.state, extrinsic.signer)["nonce"]
        if extrinsic.nonce > nonce and not extrinsic.expired_at(draft.state.block):
            continue
        db.execute("DELETE FROM pool WHERE seq=?", (seq,))
        if extrinsic.nonce == nonce and _include(draft, extrinsic):
            _include_shielded(draft, extrinsic)


def _include(draft: _Draft, extrinsic: SignedCall) -> bool:
    """Check an extrinsic once more, run it and store its receipt; False if it is invalid here."""
    state = draft.state
    authentic = extrinsic.genesis_hash == draft.genesis_hash and extrinsic.is_authentic()
    if not authentic or extrinsic.expired_at(state.block) or not can_pay(state, extrinsic):
        return False
    index = len(draft.extrinsics) + 1  # 0 is the timestamp
    receipt = apply_extrinsic(state, extrinsic, index)
    draft.extrinsics.append(describe_extrinsic(extrinsic))
    draft.hashes.append(extrinsic.intent_hash)
    row = (extrinsic.hash, state.block, index, canonical(receipt))
    state.db.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)", row)
    return True


def _include_shielded(draft: _Draft, carrier: SignedCall) -> None:
    """After a shield carrier, run the extrinsic that was sealed at the next nonce."""
    if (carrier.call.module, carrier.call.function) != SHIELD:
        return
    db, key = draft.state.db, (carrier.signer, carrier.nonce + 1)
    row = db.execute("SELECT raw FROM shielded WHERE signer=? AND nonce=?", key).fetchone()
    if row is not None:
        db.execute("DELETE FROM shielded WHERE signer=? AND nonce=?", key)
        _include(draft, decode_extrinsic(row[0].encode()))
