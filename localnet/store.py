"""The chain file: versioned storage in SQLite.

Owns the schema, the connection settings and `State`, the storage as of one block. Every value is kept
with the block it was written in, so any past block can be read exactly. Knows nothing of what the
values mean; the runtime does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localnet.parameters import Genesis

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 30_000

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
  number INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, parent TEXT NOT NULL,
  timestamp_ms INTEGER NOT NULL, extrinsics TEXT NOT NULL, events TEXT NOT NULL);
CREATE TABLE state (
  item TEXT NOT NULL, key TEXT NOT NULL, block_from INTEGER NOT NULL, value TEXT,
  PRIMARY KEY (item, key, block_from)) WITHOUT ROWID;
CREATE TABLE pool (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, signer TEXT NOT NULL,
  nonce INTEGER NOT NULL, raw TEXT NOT NULL, UNIQUE (signer, nonce));
CREATE TABLE shielded (
  signer TEXT NOT NULL, nonce INTEGER NOT NULL, raw TEXT NOT NULL,
  PRIMARY KEY (signer, nonce)) WITHOUT ROWID;
CREATE TABLE receipts (
  hash TEXT PRIMARY KEY, block INTEGER NOT NULL, position INTEGER NOT NULL,
  receipt TEXT NOT NULL) WITHOUT ROWID;
"""

_GET = "SELECT value FROM state WHERE item=? AND key=? AND block_from<=? ORDER BY block_from DESC LIMIT 1"
# Steps from key to key through the index, so old versions of a key cost nothing.
_SCAN = """
WITH RECURSIVE walk(key) AS (
  SELECT MIN(key) FROM state WHERE item=:item AND key>=:low AND key<:high
  UNION ALL
  SELECT (SELECT MIN(key) FROM state WHERE item=:item AND key>walk.key AND key<:high) FROM walk
  WHERE walk.key IS NOT NULL)
SELECT walk.key, (SELECT value FROM state WHERE item=:item AND key=walk.key AND block_from<=:block
                  ORDER BY block_from DESC LIMIT 1) FROM walk WHERE walk.key IS NOT NULL
"""


def canonical(value: Any) -> str:
    """Canonical JSON text: sorted keys, no spaces, finite numbers only (ValueError otherwise)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def open_database(path: Path) -> sqlite3.Connection:
    """Connect to a chain file with this package's settings; transactions are opened by hand."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    return db


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """One BEGIN IMMEDIATE transaction: commits at the end, rolls back on any error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def read_meta(db: sqlite3.Connection, key: str) -> str:
    """One value of the meta table; KeyError when absent."""
    row = db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
    if row is None:
        raise KeyError(key)
    return str(row[0])


def write_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    """Set one value of the meta table."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


class State:
    """Chain storage as of `block`; writable only inside the transaction that makes this block.

    Items are named `Pallet.Item`; a name without a pallet belongs to SubtensorModule, where nearly
    all of them live. Reads return fresh objects, never shared ones.
    """

    def __init__(self, db: sqlite3.Connection, block: int, genesis: Genesis) -> None:
        self.db = db
        self.block = block
        self.genesis = genesis
        self.events: list[dict[str, Any]] = []
        self.extrinsic_index: int | None = None

    def get(self, item: str, *key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default` when nothing was ever written or it was dropped."""
        row = self.db.execute(_GET, (_full(item), json.dumps(key), self.block)).fetchone()
        return default if row is None or row[0] is None else json.loads(row[0])

    def put(self, item: str, value: Any, *key: Any) -> None:
        """Write `value` (JSON) under `key` as of this block."""
        text = json.dumps(value, allow_nan=False)
        self.db.execute(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
            (_full(item), json.dumps(key), self.block, text),
        )

    def drop(self, item: str, *key: Any) -> None:
        """Delete the value under `key` as of this block; earlier blocks keep it."""
        row = (_full(item), json.dumps(key), self.block)
        self.db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, NULL)", row)

    def items(self, item: str, *prefix: Any) -> list[tuple[list[Any], Any]]:
        """(key parts, value) of every live entry whose key starts with `prefix`, in key order."""
        start = json.dumps(prefix)[:-1] + (", " if prefix else "")
        bounds = {"item": _full(item), "low": start, "high": start + "\x7f", "block": self.block}
        rows = self.db.execute(_SCAN, bounds).fetchall()
        return [(json.loads(key), json.loads(value)) for key, value in rows if value is not None]

    def emit(self, pallet: str, event: str, attributes: Any) -> None:
        """Deposit an event into the block being made."""
        phase = "Initialization" if self.extrinsic_index is None else "ApplyExtrinsic"
        self.events.append(
            {
                "phase": phase,
                "extrinsic_idx": self.extrinsic_index,
                "event": {
                    "event_index": "0x0000",
                    "module_id": pallet,
                    "event_id": event,
                    "attributes": attributes,
                },
                "topics": [],
            }
        )


def _full(item: str) -> str:
    return item if "." in item else f"SubtensorModule.{item}"
