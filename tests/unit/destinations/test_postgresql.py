"""A PostgreSQL table: rows, rights, and what each refusal of the server means."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString

import orjson
import psycopg
import pytest
import trustme
from psycopg.sql import SQL

from receiver.destinations import Message, open_destination
from receiver.destinations.postgresql import PostgresTable
from receiver.destinations.postgresql_table import Table
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry
from tests.messages import message
from tests.servers.postgres import PostgresServer, running
from tests.servers.relay import asking, client_files, relayed
from tests.waiting.blocking import until

_REFUSE_7: LiteralString = (
    "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "  IF new.subject = 'gen_7' THEN RAISE 'no %', new.event; END IF; RETURN new; END $$;"
)
_REFUSE_7_BY_ITS_OWN_CODE: LiteralString = (
    "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.subject = 'gen_7'"
    "  THEN RAISE 'no %', new.event USING ERRCODE = 'UX001'; END IF; RETURN new; END $$;"
)
_FAIL_ON_7: LiteralString = (
    "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "  ASSERT new.subject <> 'gen_7'; RETURN new; END $$;"
)
_DROP_7: LiteralString = (
    "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "  IF new.subject = 'gen_7' THEN RETURN NULL; END IF; RETURN new; END $$;"
)
_INTO_A_CHILD: LiteralString = (
    "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (receiver_events);"
    "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "  INSERT INTO child VALUES (new.*) ON CONFLICT DO NOTHING; RETURN NULL; END $$;"
)
_BEFORE_INSERT: LiteralString = (
    "CREATE TRIGGER odd BEFORE INSERT ON receiver_events FOR EACH ROW EXECUTE FUNCTION odd()"
)

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""https://www.postgresql.org/docs/current/protocol-message-formats.html"""

Database = psycopg.AsyncConnection[tuple[Any, ...]]


@contextlib.asynccontextmanager
async def _open(url: str, **options: str) -> AsyncIterator[PostgresTable]:
    destination = open_destination("queue", url, options)
    assert isinstance(destination, PostgresTable)
    async with contextlib.aclosing(destination):
        yield destination


async def _send(url: str, *batch: Message, **options: str) -> Sequence[Outcome]:
    async with _open(url, **options) as destination:
        return await destination.send(batch)


@pytest.fixture
async def database(postgres_database: str) -> AsyncIterator[Database]:
    """Return a connection to the database of `postgres_database`, which is empty."""
    async with await psycopg.AsyncConnection.connect(postgres_database, autocommit=True) as connection:
        yield connection


async def _rows(database: Database, query: LiteralString) -> list[tuple[Any, ...]]:
    return await (await database.execute(query)).fetchall()


class TestConnect:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("table", ""),
            ("table", "a.b.c"),
            ("table", "x" * 64),
            ("table", "a\0b"),
            ("create", "maybe"),
            ("notify", "x" * 64),
            ("tabel", "x"),
        ],
    )
    def test_a_bad_option_is_refused(self, option: str, value: str) -> None:
        """Every option is checked at start, and the message names it."""
        with pytest.raises(ConfigError, match=f"RECEIVER_DESTINATIONS__QUEUE__{option.upper()}"):
            open_destination("queue", "postgresql://host/db", {option: value})

    def test_the_query_is_libpq_s(self) -> None:
        """TLS, several hosts and all else that libpq knows are set in the URL, over our defaults."""
        url = "postgres://a,b:5433/db?sslmode=verify-full&target_session_attrs=read-write&application_name=x"
        destination = open_destination("queue", url, {})
        assert isinstance(destination, PostgresTable)
        told = destination._parameters
        assert (told["host"], told["sslmode"], told["application_name"]) == ("a,b", "verify-full", "x")
        assert told["keepalives_idle"] == 30

    def test_a_client_certificate(self, tmp_path: Path) -> None:
        """`cert_file`, `key_file` and `ca_file` are what libpq calls sslcert, sslkey and sslrootcert."""
        files = client_files(trustme.CA(), tmp_path)
        destination = open_destination("queue", "postgresql://a/db", files)
        assert isinstance(destination, PostgresTable)
        told = destination._parameters
        assert (told["sslcert"], told["sslkey"]) == (files["cert_file"], files["key_file"])
        assert told["sslrootcert"] == files["ca_file"]

    @pytest.mark.parametrize("mode", [0o644, 0o610, 0o602])
    def test_a_key_that_libpq_would_refuse_is_refused_at_start(self, tmp_path: Path, mode: int) -> None:
        """Libpq takes no key that others may touch, and says so only when it dials."""
        files = client_files(trustme.CA(), tmp_path)
        Path(files["key_file"]).chmod(mode)
        with pytest.raises(ConfigError, match="QUEUE__KEY_FILE must be readable only by its owner"):
            open_destination("queue", "postgresql://a/db", files)


class TestSend:
    @pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
    async def test_a_text_that_the_database_cannot_hold_is_a_dead_letter(
        self, postgres_server: PostgresServer, encoding: str
    ) -> None:
        """The server converts: what its encoding has no letters for is refused alone, with the reason."""
        name = f"queue_{encoding.lower()}"
        made = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        async with await psycopg.AsyncConnection.connect(postgres_server.url, autocommit=True) as admin:
            await admin.execute(made.encode())
        url = f"{postgres_server.database_url(name)}?client_encoding={encoding}"
        batch = [message(1, prompt="ü"), message(2, prompt="東京の夜"), message(3, prompt="x")]
        one, two, three = await _send(url, *batch, create="true")
        assert (one, three) == (Delivered(), Delivered())
        if encoding == "LATIN1":
            assert isinstance(two, GivenUp)
            assert "UntranslatableCharacter" in two.error
        else:
            assert two == Delivered()

    async def test_why_tls_failed(self, postgres_database: str) -> None:
        """The reason that libpq gives is told: here that the server has no TLS at all."""
        [outcome] = await _send(f"{postgres_database}?sslmode=require", message(1))
        assert isinstance(outcome, Retry)
        assert "server does not support SSL" in outcome.error

    async def test_columns_of_a_row(self, postgres_database: str, database: Database) -> None:
        """A row holds what consumers select on, and the envelope byte for byte."""
        assert await _send(postgres_database, message(1), create="true") == [Delivered()]
        [row] = await _rows(
            database,
            "SELECT id::text, type, source, subject, event, received_at <= now(), handled_at"
            " FROM receiver_events",
        )
        sent = message(1)
        assert row == (sent.id, sent.type, "photoverse", "gen_1", sent.body.decode(), True, None)

    async def test_without_a_table_the_error_gives_the_sql(
        self, postgres_database: str, database: Database
    ) -> None:
        """Nobody's database is changed unasked; whoever runs the statement of the error is done."""
        [outcome] = await _send(postgres_database, message(1))
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__CREATE=true" in outcome.error
        statement = re.search(r"CREATE TABLE.*\)", outcome.error)
        assert statement
        await database.execute(statement[0].encode())
        assert await _send(postgres_database, message(1)) == [Delivered()]

    async def test_workers_that_create_it_at_once_all_deliver(self, postgres_database: str) -> None:
        """CREATE TABLE IF NOT EXISTS may fail when run twice at once, which costs no attempt."""
        sending = (_send(postgres_database, message(number), create="true") for number in range(8))
        assert await asyncio.gather(*sending) == [[Delivered()]] * 8

    async def test_a_repeat_changes_nothing(self, postgres_database: str, database: Database) -> None:
        """The primary key keeps an event once, within a batch and across them, and the row as it became."""
        async with _open(postgres_database, create="true") as destination:
            await destination.send([message(1)])
            await database.execute("UPDATE receiver_events SET handled_at = now()")
            again = await destination.send([message(1), message(2), message(2)])
        assert again == [Delivered()] * 3
        assert await _rows(
            database, "SELECT subject, handled_at IS NULL FROM receiver_events ORDER BY subject"
        ) == [("gen_1", False), ("gen_2", True)]

    @pytest.mark.parametrize("table", ['x"; DROP TABLE "kept', "Mixed Case", "back\\slash'quote", "straße"])
    async def test_any_name_is_quoted(self, postgres_database: str, database: Database, table: str) -> None:
        """A name is a name, whatever it looks like."""
        await database.execute("CREATE TABLE kept ()")
        assert await _send(postgres_database, message(1), table=table, create="true") == [Delivered()]
        names = {
            name for (name,) in await _rows(database, "SELECT relname FROM pg_class WHERE relkind = 'r'")
        }
        assert {"kept", table} <= names

    async def test_a_table_may_be_in_a_schema(self, postgres_database: str, database: Database) -> None:
        """`schema.name` is two names."""
        await database.execute("CREATE SCHEMA media")
        assert await _send(postgres_database, message(1), table="media.events", create="1") == [Delivered()]
        assert await _rows(database, "SELECT subject FROM media.events") == [("gen_1",)]

    async def test_new_rows_are_told_of_once(self, postgres_database: str, database: Database) -> None:
        """NOTIFY carries the id of each new row, whose row can be read by then, and nothing for a repeat."""
        await database.execute('LISTEN "new events"')
        async with _open(postgres_database, create="true", notify="new events") as destination:
            await destination.send([message(1)])
            await destination.send([message(1), message(2, prompt="x" * 20_000)])
        told = [notify.payload async for notify in database.notifies(timeout=10, stop_after=2)]
        assert told == [message(1).id, message(2).id]
        assert await _rows(database, "SELECT count(*) FROM receiver_events") == [(2,)]
        assert [notify async for notify in database.notifies(timeout=0)] == []

    async def test_a_full_queue_of_notifications_costs_no_event(self) -> None:
        """A listener that stays in a transaction fills it; its code is that of a row that is too large."""
        with running(durable=False) as server:
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute("ALTER SYSTEM SET max_notify_queue_pages = 64")
            server.stop()
            server.start()
            with psycopg.connect(server.url, autocommit=True) as filling:
                with psycopg.connect(server.url, autocommit=True) as listening:
                    listening.execute("LISTEN events")
                    listening.execute("BEGIN")
                    fill = (
                        "SELECT pg_notify('events', rpad(n::text, 7999)) FROM generate_series(1, 1000) AS n"
                    )
                    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                        filling.execute(fill)
                    refused = await _send(server.url, message(1), message(2), create="true", notify="events")
                # It drops what nobody waits for, once the listener's process has ended.
                until(
                    lambda: filling.execute("SELECT pg_notification_queue_usage() = 0").fetchone() == (True,)
                )
                again = await _send(server.url, message(1), message(2), notify="events")
        assert [type(outcome) for outcome in refused] == [Retry, Retry]
        assert "notifications" in repr(refused[0])
        assert again == [Delivered(), Delivered()]


class TestRefusals:
    async def test_a_missing_partition_is_waited_for(
        self, postgres_database: str, database: Database
    ) -> None:
        """Creating partitions is the operator's task: a late one costs no event, and holds up no other."""
        early, late = message(1), replace(message(2), id="ffffffff-ffff-7fff-bfff-ffffffffffff")
        create = Table(("receiver_events",)).create()
        await database.execute(create + SQL(" PARTITION BY RANGE (id)"))
        await database.execute(
            "CREATE TABLE early PARTITION OF receiver_events"
            " FOR VALUES FROM (MINVALUE) TO ('f0000000-0000-0000-0000-000000000000')"
        )
        outcomes = await _send(postgres_database, late, early)
        await database.execute("CREATE TABLE late PARTITION OF receiver_events DEFAULT")
        assert await _send(postgres_database, late) == [Delivered()]
        assert [type(outcome) for outcome in outcomes] == [Retry, Delivered]
        assert "partition" in repr(outcomes[0])

    async def test_text_takes_what_jsonb_refuses(self, postgres_database: str, database: Database) -> None:
        """U+0000 in a prompt is an escape in the envelope, and arrives; in a jsonb column it is refused."""
        odd = message(2, prompt="a\0b")
        assert await _send(postgres_database, odd, create="true") == [Delivered()]
        assert await _rows(database, "SELECT event FROM receiver_events") == [(odd.body.decode(),)]
        await database.execute("TRUNCATE receiver_events")
        await database.execute("ALTER TABLE receiver_events ALTER event TYPE jsonb USING event::jsonb")
        outcomes = await _send(postgres_database, message(1), odd, message(3))
        assert [type(outcome) for outcome in outcomes] == [Delivered, GivenUp, Delivered]
        assert outcomes[1] == GivenUp("PostgreSQL refused the event: UntranslatableCharacter 22P05")
        [[event]] = await _rows(database, "SELECT event FROM receiver_events WHERE subject = 'gen_1'")
        assert event == orjson.loads(message(1).body)

    @pytest.mark.parametrize(
        "rule",
        [
            "ALTER TABLE receiver_events ADD CONSTRAINT odd CHECK (subject <> 'gen_7')",
            "ALTER TABLE receiver_events ADD CONSTRAINT odd EXCLUDE (event WITH =)",
            _REFUSE_7 + _BEFORE_INSERT,
            _REFUSE_7_BY_ITS_OWN_CODE + _BEFORE_INSERT,
            _FAIL_ON_7 + _BEFORE_INSERT,
            _REFUSE_7 + "CREATE CONSTRAINT TRIGGER odd AFTER INSERT ON receiver_events"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd()",
        ],
        ids=["check", "unique", "trigger", "own-code", "assert", "at-commit"],
    )
    async def test_a_refused_row_takes_no_other_down(
        self, postgres_database: str, database: Database, rule: LiteralString
    ) -> None:
        """Whatever of the user's refuses a row, only that event is given up, and its text is not repeated."""
        batch = [message(number) for number in range(20)]
        # The exclusion constraint refuses the second row of the same event text.
        batch[7] = Message(batch[7].id, "photoverse", "gen_7", batch[7].type, "image", batch[3].body)
        async with _open(postgres_database, create="true") as destination:
            await destination.send([message(99)])
            await database.execute(rule.encode())
            outcomes = await destination.send(batch)
        expected = [GivenUp if number == 7 else Delivered for number in range(20)]
        assert [type(outcome) for outcome in outcomes] == expected
        assert "lighthouse" not in repr(outcomes)
        assert await _rows(database, "SELECT count(*) FROM receiver_events") == [(20,)]

    @pytest.mark.parametrize("notify", [{}, {"notify": "events"}], ids=["insert", "notify"])
    async def test_a_row_that_is_dropped_silently_is_not_delivered(
        self, postgres_database: str, database: Database, notify: dict[str, str]
    ) -> None:
        """A trigger that returns no row, without an error, has not taken the event; a repeat has its row."""
        batch = [message(number) for number in (1, 1, 7, 9)]
        async with _open(postgres_database, create="true", **notify) as destination:
            await destination.send([message(9)])
            await database.execute(f"{_DROP_7}{_BEFORE_INSERT}".encode())
            outcomes = await destination.send(batch)
        assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered, Retry, Delivered]
        assert "does a trigger drop rows" in repr(outcomes[2])
        assert "RECEIVER_DESTINATIONS__QUEUE__TABLE" in repr(outcomes[2])

    async def test_a_trigger_may_put_the_row_into_a_child(
        self, postgres_database: str, database: Database
    ) -> None:
        """Partitions by inheritance report no new row, and the table has it all the same."""
        async with _open(postgres_database, create="true") as destination:
            await destination.send([message(1)])
            await database.execute(f"{_INTO_A_CHILD}{_BEFORE_INSERT}".encode())
            assert await destination.send([message(1), message(2)]) == [Delivered()] * 2
        assert await _rows(database, "SELECT count(*) FROM ONLY receiver_events") == [(1,)]

    async def test_row_level_security_costs_no_event(
        self, postgres_database: str, database: Database
    ) -> None:
        """A policy that lets no event in, or shows none, leaves it to be retried."""
        await _send(postgres_database, message(1), create="true")
        await database.execute("CREATE ROLE clerk LOGIN")
        try:
            await database.execute("GRANT INSERT, SELECT (id) ON receiver_events TO clerk")
            await database.execute("ALTER TABLE receiver_events ENABLE ROW LEVEL SECURITY")
            url = postgres_database.replace("receiver@", "clerk@")
            refused = await _send(url, message(2))
            await database.execute("CREATE POLICY give ON receiver_events FOR INSERT WITH CHECK (true)")
            blind = await _send(url, message(1), message(2))
            assert [type(outcome) for outcome in (*refused, *blind)] == [Retry] * 3
            await database.execute("CREATE POLICY see ON receiver_events FOR SELECT USING (true)")
            assert await _send(url, message(1), message(2)) == [Delivered()] * 2
        finally:
            await database.execute("DROP OWNED BY clerk; DROP ROLE clerk")

    @pytest.mark.parametrize(
        "change",
        [
            "DROP COLUMN source",
            "ADD mine text NOT NULL",
            "ALTER id TYPE bigint USING 1",
            "ALTER event TYPE bytea USING NULL, ALTER subject TYPE bigint USING NULL",
            "DROP CONSTRAINT receiver_events_pkey",
        ],
    )
    async def test_a_table_that_does_not_fit_costs_no_event(
        self, postgres_database: str, database: Database, change: LiteralString
    ) -> None:
        """What would refuse every event is the operator's to correct: the error shows a table that fits."""
        await _send(postgres_database, message(1), create="true")
        await database.execute("TRUNCATE receiver_events")
        await database.execute(f"ALTER TABLE receiver_events {change}".encode())
        outcomes = await _send(postgres_database, message(1), message(2))
        assert all(isinstance(outcome, Retry) for outcome in outcomes)
        assert all("CREATE TABLE" in each.error for each in outcomes if isinstance(each, Retry))
        assert "RECEIVER_DESTINATIONS__QUEUE__TABLE" in repr(outcomes)

    async def test_the_documented_rights_are_enough_and_needed(
        self, postgres_database: str, database: Database
    ) -> None:
        """INSERT and SELECT (id) do; without them the error gives the GRANT."""
        await _send(postgres_database, message(1), create="true")
        await database.execute("CREATE ROLE clerk LOGIN")
        try:
            url = postgres_database.replace("receiver@", "clerk@")
            [outcome] = await _send(url, message(2), notify="events")
            assert isinstance(outcome, Retry)
            assert 'INSERT, SELECT (id) ON "receiver_events": GRANT it' in outcome.error
            await database.execute("GRANT INSERT, SELECT (id) ON receiver_events TO clerk")
            assert await _send(url, message(2), notify="events") == [Delivered()]
            [outcome] = await _send(url, message(2), table="another", create="true")
            assert isinstance(outcome, Retry)
            assert "CREATE on its schema" in outcome.error
        finally:
            await database.execute("DROP OWNED BY clerk; DROP ROLE clerk")

    async def test_a_read_only_server_is_a_retry(self, postgres_database: str, database: Database) -> None:
        """A standby, as during a failover, is a Retry, and is asked again over a new connection."""
        async with _open(postgres_database, create="true") as destination:
            await destination.send([message(1)])
            await destination._idle[0].execute("SET default_transaction_read_only = on")
            [refused] = await destination.send([message(2)])
            assert isinstance(refused, Retry)
            assert "ReadOnlySqlTransaction" in refused.error
            assert await destination.send([message(2)]) == [Delivered()]

    async def test_a_missing_database_is_named(self, postgres_server: PostgresServer) -> None:
        """What the server says at sign-in reaches the operator."""
        [outcome] = await _send(postgres_server.database_url("nowhere"), message(1))
        assert isinstance(outcome, Retry)
        assert 'database "nowhere" does not exist' in outcome.error
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error


class TestConnections:
    async def test_commits_are_durable_where_the_default_is_not(
        self, postgres_database: str, database: Database
    ) -> None:
        """`synchronous_commit = off` would lose what was confirmed; a stronger value is left alone."""
        for default, expected in [("off", "on"), ("remote_apply", "remote_apply")]:
            name = postgres_database.rpartition("/")[2]
            await database.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {default}'.encode())
            async with _open(postgres_database, create="true") as destination:
                assert await destination.send([message(1)]) == [Delivered()]
                [told] = await _rows(destination._idle[0], "SHOW synchronous_commit")
            assert told == (expected,)

    async def test_a_locked_table_is_a_retry_within_the_timeout(
        self, postgres_database: str, database: Database
    ) -> None:
        """Waiting for a lock costs the timeout, and leaves nobody waiting on the server."""
        async with _open(postgres_database, create="true", timeout_s="0.5") as destination:
            await destination.send([message(1)])
            async with database.transaction():
                await database.execute("LOCK receiver_events")
                started = time.monotonic()
                [outcome] = await destination.send([message(2)])
                assert time.monotonic() - started < 10
                await _until_alone(database)
        assert outcome == Retry("PostgreSQL did not answer within 0.5 s")

    async def test_a_cancelled_batch_ends_although_the_server_hangs(
        self, doomed_postgres_server: PostgresServer
    ) -> None:
        """A stopping worker waits for nobody, on a connection that was in use before."""
        async with _open(doomed_postgres_server.url, create="true", table="cancelled") as destination:
            await destination.send([message(1)])
            doomed_postgres_server.freeze()
            try:
                sending = asyncio.ensure_future(destination.send([message(2)]))
                await asyncio.wait({sending}, timeout=0.2)
                sending.cancel()
                _, pending = await asyncio.wait({sending}, timeout=5)
            finally:
                doomed_postgres_server.thaw()
            assert not pending
            assert await destination.send([message(2)]) == [Delivered()]

    async def test_closing_ends_a_batch_under_way(self, doomed_postgres_server: PostgresServer) -> None:
        """A batch whose destination is closed is a Retry at once."""
        async with _open(doomed_postgres_server.url, create="true", table="closed") as destination:
            await destination.send([message(1)])
            doomed_postgres_server.freeze()
            try:
                sending = asyncio.ensure_future(destination.send([message(2)]))
                await asyncio.wait({sending}, timeout=0.2)
                await destination.aclose()
                _, pending = await asyncio.wait({sending}, timeout=5)
            finally:
                doomed_postgres_server.thaw()
            assert not pending
            assert isinstance(sending.result()[0], Retry)

    async def test_batches_at_once_have_a_connection_each(self, postgres_database: str) -> None:
        """None waits for another's, and all are kept for the next."""
        async with _open(postgres_database, create="true") as destination:
            await destination.send([message(0)])
            sending = (destination.send([message(number)]) for number in range(1, 4))
            assert await asyncio.gather(*sending) == [[Delivered()]] * 3
            assert len(destination._idle) == 3


async def _until_alone(database: Database) -> None:
    """Return once nobody waits for a lock: pg_stat_activity would say the same throughout a transaction."""
    deadline = time.monotonic() + 30
    while await _rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted"):
        assert time.monotonic() < deadline, "somebody still waits for the lock"
        await asyncio.sleep(0.02)


class TestTls:
    async def test_why_it_failed_and_who_we_are(
        self, postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
    ) -> None:
        """A server that wants a certificate gets ours; whatever does not fit is told in OpenSSL's words."""
        ca = trustme.CA()
        files = client_files(ca, tmp_path)
        async with relayed(postgres_server.port, tls=asking(ca), upon=_SSL_REQUEST) as relay:
            url = postgres_database.replace(f":{postgres_server.port}/", f":{relay.port}/")
            known = await _send(url, message(1), create="true", **files)
            [anonymous] = await _send(url, message(1), ca_file=files["ca_file"])
            client_files(trustme.CA(), tmp_path)
            [stranger] = await _send(url, message(1), ca_file=files["ca_file"])
        assert known == [Delivered()]
        assert isinstance(anonymous, Retry)
        assert isinstance(stranger, Retry)
        assert "SSL error: " in anonymous.error
        assert "certificate verify failed" in stranger.error
