"""The ledger's guards: one world, one schema, readers that cannot write."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shared.errors import AgonError
from validator.ledger.database import World, open_ledger, open_reader
from validator.ledger.tables import EventRow, MetaRow, Table
from validator.ledger.transitions import tell

WORLD = World(genesis_hash="0x" + "11" * 32, netuid=2, hotkey="5Validator")


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"


def test_a_ledger_opens_again_in_the_same_world(tmp_path: Path) -> None:
    open_ledger(url(tmp_path), WORLD).close()
    ledger = open_ledger(url(tmp_path), WORLD)
    meta = ledger.run(lambda session: session.get_one(MetaRow, 1))
    assert (meta.genesis_hash, meta.netuid, meta.hotkey) == (WORLD.genesis_hash, 2, "5Validator")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(World("0x" + "22" * 32, 2, "5Validator"), id="another chain"),
        pytest.param(World(WORLD.genesis_hash, 3, "5Validator"), id="another subnet"),
        pytest.param(World(WORLD.genesis_hash, 2, "5Other"), id="another hotkey"),
    ],
)
def test_another_world_is_refused(tmp_path: Path, other: World) -> None:
    open_ledger(url(tmp_path), WORLD).close()
    with pytest.raises(AgonError) as caught:
        open_ledger(url(tmp_path), other)
    assert caught.value.code == "chain_mismatch"


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    ledger = open_ledger(url(tmp_path), WORLD)
    ledger.run(lambda session: session.execute(text("update alembic_version set version_num = '9999'")))
    with pytest.raises(AgonError) as caught:
        open_ledger(url(tmp_path), WORLD)
    assert caught.value.code == "ledger_newer"
    assert ledger.run(lambda s: s.execute(text("select version_num from alembic_version")).scalar()) == "9999"


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    open_ledger(url(tmp_path), WORLD).close()
    reader = open_reader(url(tmp_path))
    with pytest.raises(OperationalError):
        reader.run(lambda session: tell(session, "forged"))


def test_reading_a_missing_ledger_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(AgonError) as caught:
        open_reader(url(tmp_path))
    assert caught.value.code == "ledger_missing"
    assert not (tmp_path / "state").exists()


def test_a_transition_that_fails_leaves_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(url(tmp_path), WORLD)

    def half_done(session: object) -> None:
        tell(session, "first")  # type: ignore[arg-type]
        raise RuntimeError("killed in between")

    with pytest.raises(RuntimeError):
        ledger.run(half_done)
    assert ledger.run(lambda session: session.query(EventRow).count()) == 0


def test_migrations_make_exactly_the_declared_schema(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    ledger = open_ledger(url(tmp_path), WORLD)
    with ledger._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []
