"""Opening, migrating and guarding the ledger's database.

`Ledger` runs one transition (a plain function of a session) in one transaction; readers cannot write.
On SQLite writers take the lock at BEGIN, so two processes never interleave inside a transition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from shared.errors import AgonError
from validator.ledger.tables import MetaRow

P = ParamSpec("P")
R = TypeVar("R")

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class World:
    """What a ledger is tied to for ever."""

    genesis_hash: str
    netuid: int
    hotkey: str

    def text(self) -> str:
        """For people."""
        return f"chain {self.genesis_hash}, subnet {self.netuid}, hotkey {self.hotkey}"


class Ledger:
    """A database of transitions; `do` runs one in a worker thread, `read` queries without writing."""

    def __init__(self, url: str, *, readonly: bool = False) -> None:
        self.url = url
        self.readonly = readonly
        self._engine = _engine(url, readonly=readonly)

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on any error."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    def run(self, step: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `step(session, ...)` in one transaction, in this thread."""
        with self.session() as session:
            return step(session, *args, **kwargs)

    async def do(self, step: Callable[Concatenate[Session, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`run` in a worker thread, so that no event loop waits for the disk."""
        return await asyncio.to_thread(lambda: self.run(step, *args, **kwargs))


def open_ledger(url: str, world: World) -> Ledger:
    """The ledger at `url`, migrated to this version and tied to `world`.

    Raises AgonError `ledger_newer` when a newer Agon wrote it, `chain_mismatch` when it belongs to
    another chain, subnet or hotkey.
    """
    _make_parent(url)
    migrate(url)
    ledger = Ledger(url)
    ledger.run(_claim, world)
    return ledger


def open_reader(url: str) -> Ledger:
    """The ledger at `url`, read-only. Raises AgonError `ledger_missing` when there is none."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise AgonError("ledger_missing", f"there is no ledger at {parsed.database}")
    reader = Ledger(url, readonly=True)
    try:
        meta = reader.run(lambda session: session.get(MetaRow, 1))
    except (OperationalError, ProgrammingError) as error:
        raise AgonError("ledger_missing", f"{parsed.database} holds no ledger of this version") from error
    if meta is None:
        raise AgonError("ledger_missing", f"{parsed.database} holds no ledger yet")
    return reader


def migrate(url: str) -> None:
    """Bring the schema to this version's head; AgonError `ledger_newer` when it is already beyond."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = _engine(url, readonly=False)
    try:
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with engine.begin() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
            if found is not None and found not in known:
                raise AgonError("ledger_newer", f"the ledger has schema {found}, which this version lacks")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _claim(session: Session, world: World) -> None:
    meta = session.get(MetaRow, 1)
    if meta is None:
        session.add(MetaRow(one=1, genesis_hash=world.genesis_hash, netuid=world.netuid, hotkey=world.hotkey))
        return
    found = World(meta.genesis_hash, meta.netuid, meta.hotkey)
    if found != world:
        raise AgonError("chain_mismatch", f"the ledger belongs to {found.text()}, not to {world.text()}")


def _make_parent(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


def _engine(url: str, *, readonly: bool) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        options: dict[str, Any] = {"execution_options": {"postgresql_readonly": True}} if readonly else {}
        return create_engine(url, pool_pre_ping=True, **options)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # the driver's own implicit BEGIN would come too late to take the write lock
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        if readonly:
            connection.execute("PRAGMA query_only=ON")
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine
