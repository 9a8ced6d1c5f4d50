"""The schema's history."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Table, inspect, select, text

from receiver.contract import COMPLETED
from receiver.errors import ConfigError, ReceiverError, StoreUnavailable
from receiver.store import Store
from receiver.store.engine import connect
from receiver.store.migrations import _config, current, migrate, revisions
from receiver.store.tables import ASSET, DELIVERY, EVENT, METADATA, RETENTION
from tests.servers.require import free_ports

Tables = dict[str, tuple[tuple[str, ...], list[tuple[object, ...]]]]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/receiver.db"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = connect(url)
    yield opened
    opened.dispose()


class TestMigrate:
    def test_tells_what_it_did(self, engine: Engine) -> None:
        """The revision before, none on an empty database, and the one after."""
        assert migrate(engine) == (None, revisions()[0])
        with engine.begin() as connection:
            assert current(connection) == revisions()[0]

    def test_several_at_once(self, url: str) -> None:
        """Machines that start together migrate once, and none of them fails."""
        engines = [connect(url) for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            results = list(threads.map(migrate, engines))
        for engine in engines:
            engine.dispose()
        assert {after for _, after in results} == {revisions()[0]}
        assert [before for before, _ in results].count(None) == 1

    def test_a_newer_schema_is_left_alone(self, url: str) -> None:
        """The release before, started again after a newer one migrated, goes on or says why not."""
        with closing(Store(url)) as store:
            store.migrate()
            with store.engine.begin() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            with suppress(ReceiverError):
                store.migrate()
            with store.engine.begin() as connection:
                assert current(connection) == "9999"

    def test_tables_of_another_program(self, url: str) -> None:
        """They are left as they are, and what the database said is passed on."""
        with closing(Store(url)) as store:
            with store.engine.begin() as connection:
                connection.execute(text("CREATE TABLE event (what int)"))
            with pytest.raises(StoreUnavailable, match=r"event.* already exists"):
                store.migrate()
            with store.engine.begin() as connection:
                assert inspect(connection).get_columns("event")[0]["name"] == "what"
                assert current(connection) is None

    def test_a_server_that_is_not_there(self) -> None:
        """It is said so, without the password."""
        url = f"postgresql://u:hunter2@127.0.0.1:{free_ports(1)[0]}/d"
        with closing(Store(url)) as store, pytest.raises(StoreUnavailable, match="refused") as said:
            store.migrate()
        assert "hunter2" not in str(said.value)

    def test_leaves_no_setting_behind(self, engine: Engine) -> None:
        """The connection that waited without a time-out is not used again."""
        migrate(engine)
        if engine.dialect.name == "postgresql":
            with engine.begin() as connection:
                assert connection.execute(text("SHOW statement_timeout")).scalar() == "10s"

    def test_a_schema_that_is_not_there(self, postgres_database: str) -> None:
        """It is refused by the name of the setting; once it is there, it holds the tables."""
        engine = connect(f"{postgres_database}?schema=my%20own")
        with pytest.raises(ConfigError, match=r"RECEIVER_DATABASE_URL.*CREATE SCHEMA"):
            migrate(engine)
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute('CREATE SCHEMA "my own"')
        migrate(engine)
        with engine.begin() as connection:
            found = connection.execute(text("SELECT to_regclass('\"my own\".event')::text")).scalar()
        engine.dispose()
        assert found == "event"

    def test_rows_stay_as_they_are(self, engine: Engine) -> None:
        """Later revisions change nothing of what is there, settled or not."""
        _to(engine, "0008")
        with engine.begin() as connection:
            rows = [_event("1", None), _event("2", "cdn.example.com"), _event("3", "cdn.example.com")]
            connection.execute(EVENT.insert(), [*rows[:2], {**rows[2], "state": "settled"}])
            connection.execute(ASSET.insert(), [{"event_id": "3", "status": "mirrored", "settled_ms": 1}])
            connection.execute(DELIVERY.insert(), [_delivery("1", "lease"), _delivery("2", None)])
        before = _rows(engine)
        migrate(engine)
        assert _rows(engine, columns=before) == before

    def test_a_removal_is_no_retention(self, engine: Engine) -> None:
        """The row that was borrowed for it goes, unless the previous release is just removing a file."""
        ended, under_way = {"cursor": "", "due_ms": 0}, {"cursor": "*", "due_ms": 7}
        for removal, left in ((ended, ["bodies"]), (under_way, ["bodies", "removal"])):
            _to(engine, "0022")
            with engine.begin() as connection:
                rows = [{"name": "removal", **removal}, {"name": "bodies", "cursor": "7", "due_ms": 0}]
                connection.execute(RETENTION.insert(), rows)
            migrate(engine)
            with engine.begin() as connection:
                assert sorted(connection.execute(select(RETENTION.c.name)).scalars()) == left
                METADATA.drop_all(connection)
                connection.execute(text("DROP TABLE alembic_version"))


def _rows(engine: Engine, *, columns: Tables | None = None) -> Tables:
    """Return what the database holds, or so much of it as *columns* has columns of."""
    found: Tables = {}
    with engine.begin() as connection:
        for name in ("event", "asset", "delivery"):
            table = Table(name, MetaData(), autoload_with=connection)
            wanted = columns[name][0] if columns else tuple(table.c.keys())
            picked = select(*(table.c[column] for column in wanted)).order_by(next(iter(table.c)))
            found[name] = (wanted, [tuple(row) for row in connection.execute(picked)])
    return found


def _to(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        command.upgrade(_config(connection), revision)


def _event(id_: str, host: str | None) -> dict[str, object]:
    told = {"source": "photoverse", "generation_id": id_, "type": COMPLETED, "asset_host": host}
    kept = {"body": b"{}", "via": "webhook", "received_ms": 1, "repeats": 0}
    return {"id": id_, **told, **kept, "state": "pending", "due_ms": 1, "lease": None, "attempts": 0}


def _delivery(event_id: str, lease: str | None) -> dict[str, object]:
    to = {"event_id": event_id, "destination": "orders"}
    return {**to, "state": "pending", "due_ms": 1, "lease": lease, "attempts": 0}


class TestRevisions:
    def test_one_line(self) -> None:
        """The revisions are one history, numbered in order, newest first."""
        assert list(revisions()) == sorted(set(revisions()), reverse=True)

    def test_as_alembic_reads_them(self, engine: Engine) -> None:
        """The names of their files tell what Alembic would, and the database where it is."""
        migrate(engine)
        with engine.connect() as connection:
            script = ScriptDirectory.from_config(_config(connection))
            assert revisions() == tuple(one.revision for one in script.walk_revisions())
            assert current(connection) == MigrationContext.configure(connection).get_current_revision()
