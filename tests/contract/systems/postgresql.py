"""A table on a real PostgreSQL, for the destination contract."""

import contextlib
from collections.abc import AsyncIterator
from itertools import count

import psycopg
import pytest

from receiver.destinations import Destination, Message, open_destination
from receiver.destinations.postgresql_table import Table
from tests.contract.systems.served import Served
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.postgres import PostgresServer

_numbers = count(1)


class Postgres(Served[PostgresServer]):
    """A table that refuses events with a certain word in them."""

    def __init__(self, server: PostgresServer, table: str) -> None:
        super().__init__(server)
        self._table = Table((table,))
        with psycopg.connect(server.url) as connection:
            connection.execute(self._table.create())
            check = psycopg.sql.SQL("ALTER TABLE {} ADD CHECK (event NOT LIKE '%poison%')")
            connection.execute(check.format(psycopg.sql.Identifier(table)))

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return self._open(self._server.url, timeout_s=timeout_s)

    def poison(self, number: int) -> Message | None:
        return message(number, prompt="poison")

    def oversize(self, number: int) -> Message | None:
        return None

    def wrong_credentials(self) -> Destination | None:
        return self._open(self._server.url.replace("receiver@", f"stranger:{WRONG_SECRET}@"))

    async def received(self) -> list[bytes]:
        async with await psycopg.AsyncConnection.connect(self._server.url) as connection:
            query = psycopg.sql.SQL("SELECT event FROM {}").format(psycopg.sql.Identifier(*self._table.name))
            return [event.encode() for (event,) in await (await connection.execute(query)).fetchall()]

    def _open(self, url: str, *, timeout_s: float = 10.0) -> Destination:
        return open_destination(
            "queue", url, {"table": self._table.name[0], "notify": "events", "timeout_s": str(timeout_s)}
        )


@contextlib.asynccontextmanager
async def open_postgresql(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: PostgresServer = request.getfixturevalue("doomed_postgres_server")
    yield Postgres(server, f"events {next(_numbers)}")
    server.thaw()
