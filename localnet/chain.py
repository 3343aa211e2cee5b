"""Blocks, the pool and receipts of one chain file.

Owns when a block is made; `producer.py` makes it. Any process may call any method at any time: a block
is made by whoever first sees it due, inside one BEGIN IMMEDIATE, so there is no producer to elect and
nothing to repair after a kill.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bittensor import ChainError

from localnet.extrinsic import SignedCall, decode_extrinsic
from localnet.ledger import read_account
from localnet.parameters import Genesis
from localnet.producer import make_block
from localnet.runtime import can_pay
from localnet.store import (
    BUSY_TIMEOUT_MS,
    SCHEMA_VERSION,
    State,
    open_database,
    read_meta,
    writing,
)

Clock = Callable[[], float]


@dataclass(frozen=True)
class Block:
    """A block's header and contents."""

    number: int
    hash: str
    parent: str
    timestamp_ms: int
    extrinsics: list[dict[str, Any]]
    events: list[dict[str, Any]]


class Chain:
    """One process's handle on a chain file; safe to use from several threads."""

    def __init__(self, path: Path, clock: Clock = time.time) -> None:
        """Open an existing chain; FileNotFoundError if there is none, ValueError for another schema."""
        if not path.is_file():
            raise FileNotFoundError(path)
        self.path = path
        self.closed = False
        self._clock = clock
        self._lock = threading.RLock()
        self._db = open_database(path)
        if int(read_meta(self._db, "schema")) != SCHEMA_VERSION:
            self._db.close()
            raise ValueError(f"{path} was written by another version of localnet")
        self.genesis = Genesis.model_validate_json(read_meta(self._db, "genesis"))
        self.genesis_hash = self.hash_of(0)

    def close(self) -> None:
        """Close the file; the chain itself goes on with the next process that opens it."""
        with self._lock:
            self.closed = True
            self._db.close()

    def reopen(self) -> Chain:
        """A fresh handle on the same file and clock."""
        return Chain(self.path, self._clock)

    # Reading --------------------------------------------------------------------

    def head(self) -> int:
        """Number of the newest block."""
        with self._lock:
            return int(self._db.execute("SELECT MAX(number) FROM blocks").fetchone()[0])

    def hash_of(self, number: int) -> str:
        """Hash of a block; ChainError if it does not exist."""
        with self._lock:
            row = self._db.execute("SELECT hash FROM blocks WHERE number=?", (number,)).fetchone()
        if row is None:
            raise ChainError(f"block {number} is not on the chain yet")
        return str(row[0])

    def number_of(self, block_hash: str) -> int:
        """Number of a block by hash; ChainError if it does not exist."""
        with self._lock:
            row = self._db.execute("SELECT number FROM blocks WHERE hash=?", (block_hash,)).fetchone()
        if row is None:
            raise ChainError(f"there is no block {block_hash} on this chain")
        return int(row[0])

    def block(self, number: int) -> Block | None:
        """A whole block, or None if it does not exist."""
        with self._lock:
            row = self._db.execute("SELECT * FROM blocks WHERE number=?", (number,)).fetchone()
        if row is None:
            return None
        return Block(row[0], row[1], row[2], row[3], json.loads(row[4]), json.loads(row[5]))

    def read(self, block: int | None, query: Callable[[State], Any]) -> Any:
        """Run a read-only query on the state as of `block` (the head if None)."""
        with self._lock:
            number = self.head() if block is None else block
            return query(State(self._db, number, self.genesis))

    def receipt(self, extrinsic_hash: str) -> tuple[int, int, dict[str, Any]] | None:
        """(block, index, receipt) of an included extrinsic, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT block, position, receipt FROM receipts WHERE hash=?", (extrinsic_hash,)
            ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]), json.loads(row[2]))

    def is_pooled(self, extrinsic_hash: str) -> bool:
        """Whether an extrinsic still waits for a block."""
        with self._lock:
            query = "SELECT 1 FROM pool WHERE hash=?"
            return self._db.execute(query, (extrinsic_hash,)).fetchone() is not None

    def next_nonce(self, account: str) -> int:
        """The next free nonce, pool included."""
        with self._lock:
            nonce = int(self.read(None, lambda state: read_account(state, account))["nonce"])
            rows = self._db.execute("SELECT nonce FROM pool WHERE signer=?", (account,)).fetchall()
            sealed = self._db.execute("SELECT nonce FROM shielded WHERE signer=?", (account,)).fetchall()
        taken = {row[0] for row in rows}
        # What a waiting carrier brings along takes the nonce after it.
        taken |= {row[0] for row in sealed if row[0] - 1 in taken}
        while nonce in taken:
            nonce += 1
        return nonce

    # Submitting -----------------------------------------------------------------

    def submit(self, raw: bytes) -> str:
        """Put an extrinsic into the pool and return its hash; ChainError with the pool's own words."""
        extrinsic = decode_extrinsic(raw)
        with self._lock, writing(self._db):
            head = self.head()
            state = State(self._db, head, self.genesis)
            self._validate(state, extrinsic)
            try:
                self._db.execute(
                    "INSERT INTO pool (hash, signer, nonce, raw) VALUES (?, ?, ?, ?)",
                    (extrinsic.hash, extrinsic.signer, extrinsic.nonce, raw.decode()),
                )
            except sqlite3.IntegrityError as error:
                raise ChainError(
                    "Priority is too low: the pool holds this account's nonce already"
                ) from error
        return extrinsic.hash

    def _validate(self, state: State, extrinsic: SignedCall) -> None:
        if extrinsic.genesis_hash != self.genesis_hash or not extrinsic.is_authentic():
            raise ChainError("Invalid Transaction: Transaction has a bad signature")
        if extrinsic.nonce < read_account(state, extrinsic.signer)["nonce"]:
            raise ChainError("Invalid Transaction: Transaction is outdated")
        if extrinsic.nonce > self.next_nonce(extrinsic.signer):
            raise ChainError("Invalid Transaction: Transaction nonce is in the future")
        if extrinsic.expired_at(state.block + 1):
            raise ChainError("Invalid Transaction: Transaction has an ancient birth block")
        if not can_pay(state, extrinsic):
            raise ChainError("Inability to pay some fees (e.g. account balance too low)")

    def shield(self, extrinsic: SignedCall) -> None:
        """Keep a sealed extrinsic until the carrier with the nonce before it lands."""
        row = (extrinsic.signer, extrinsic.nonce, extrinsic.raw.decode())
        with self._lock, writing(self._db):
            self._db.execute("INSERT OR REPLACE INTO shielded VALUES (?, ?, ?)", row)

    # Making blocks --------------------------------------------------------------

    def make_due_block(self) -> bool:
        """Make one block if one is due and nobody else is making it."""
        with self._lock:
            if not self._is_due():
                return False
            self._db.execute("PRAGMA busy_timeout=0")
            try:
                with writing(self._db):
                    if self._is_due():
                        make_block(self._db, self.genesis, self.genesis_hash, self._now_ms())
                        return True
            except sqlite3.OperationalError as error:
                # Somebody else writes at this moment; the block is made at the next look.
                if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT):
                    raise
            finally:
                self._db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return False

    def advance(self, count: int) -> int:
        """Make `count` blocks at once, whatever the clock says; returns the new head."""
        with self._lock:
            for _ in range(count):
                with writing(self._db):
                    make_block(self._db, self.genesis, self.genesis_hash, self._now_ms())
            return self.head()

    def _is_due(self) -> bool:
        if self.genesis.block_time_s == 0:
            return self._db.execute("SELECT 1 FROM pool LIMIT 1").fetchone() is not None
        due_ms, now_ms = int(read_meta(self._db, "due_ms")), self._now_ms()
        # A block due further away than one interval means that the clock was set back: go on from now.
        return now_ms >= due_ms or due_ms - now_ms > 2 * max(1, round(self.genesis.block_time_s * 1_000))

    def _now_ms(self) -> int:
        return int(self._clock() * 1_000)
