"""Commits of other machines wake this process, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import psycopg
import pytest
import structlog.testing

from receiver.store.engine import WAKE_CHANNEL, connect
from receiver.store.listen import listen
from receiver.store.wake import FORWARD, MIRROR, Wake
from tests.servers.require import free_ports
from tests.waiting.aio import until

WITHIN_S = 10


@pytest.fixture(autouse=True)
def quick_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("receiver.store.listen"), "_RECONNECT_S", 0.01)


@asynccontextmanager
async def listening(url: str, wake: Wake) -> AsyncIterator[None]:
    """Listen within the block, from the moment the connection stands."""
    engine = connect(url)
    woken = wake.subscribe(MIRROR)
    task = asyncio.create_task(listen(engine, wake))
    try:
        async with asyncio.timeout(WITHIN_S):
            await woken.wait()
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        engine.dispose()


async def notify(url: str, topic: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_notify(%s, %s)", (WAKE_CHANNEL, topic))


async def cut_off(url: str) -> None:
    """End the connections of everyone else, as a failover does."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class TestListen:
    async def test_passes_on_the_topic(self, postgres_database: str) -> None:
        """A notification wakes the subscribers of its topic and no others."""
        wake = Wake()
        async with listening(postgres_database, wake), asyncio.timeout(WITHIN_S):
            forward, mirror = wake.subscribe(FORWARD), wake.subscribe(MIRROR)
            await notify(postgres_database, "of another release")
            await notify(postgres_database, FORWARD)
            await forward.wait()
        assert not mirror.is_set()

    async def test_reconnects_and_wakes_everyone(self, postgres_database: str) -> None:
        """After a lost connection it listens again, and wakes all: something may have been missed."""
        wake = Wake()
        async with listening(postgres_database, wake), asyncio.timeout(WITHIN_S):
            forward = wake.subscribe(FORWARD)
            await cut_off(postgres_database)
            await forward.wait()
            forward.clear()
            await notify(postgres_database, FORWARD)
            await forward.wait()

    async def test_dead_server_is_tried_again(self) -> None:
        """While the server is away it keeps trying, and says so without the password."""
        engine = connect(f"postgresql://u:hunter2@127.0.0.1:{free_ports(1)[0]}/d")
        with structlog.testing.capture_logs() as lines:
            task = asyncio.create_task(listen(engine, Wake()))
            await until(lambda: len(lines) >= 2)
            task.cancel()
            await asyncio.wait([task])
        engine.dispose()
        assert "hunter2" not in str(lines)

    async def test_options_of_the_url(self, postgres_database: str) -> None:
        """A URL that the store can use, LISTEN can use as well, blanks in its options and all."""
        wake = Wake()
        async with listening(f"{postgres_database}?options=-c%20search_path%3Dpublic", wake):
            await notify(postgres_database, MIRROR)
