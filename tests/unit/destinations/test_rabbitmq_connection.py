"""A connection to RabbitMQ: how it ends."""

import asyncio
import time

import pytest
from yarl import URL

from receiver.destinations.rabbitmq_connection import Connection, heartbeat_errors
from tests.servers.rabbitmq import RabbitServer


async def _dialled(server: RabbitServer) -> Connection:
    connection = Connection(URL(server.url), None, title="test")
    await connection.dial()
    return connection


class TestAclose:
    async def test_a_server_that_hangs_is_not_waited_for(self, rabbit_server: RabbitServer) -> None:
        """Without a goodbye from the server the socket is dropped after a moment."""
        connection = await _dialled(rabbit_server)
        rabbit_server.freeze()
        try:
            started = time.monotonic()
            await connection.aclose()
            assert time.monotonic() - started < 5
        finally:
            rabbit_server.thaw()


class TestRetire:
    async def test_who_uses_it_may_finish(self, rabbit_server: RabbitServer) -> None:
        """It lasts as long as the last channel that was open, and no longer."""
        connection = await _dialled(rabbit_server)
        async with connection.channel():
            connection.retire()
            async with connection.channel():
                assert connection.is_open
        with pytest.raises(OSError, match="closed"):
            await _until_lost(connection)


class TestHeartbeatErrors:
    async def test_a_cancellation_by_the_library_is_an_error(self) -> None:
        """A future that the library cancels is a lost connection, not the end of our task."""
        waited_for: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waited_for.cancel()
        with pytest.raises(ConnectionResetError), heartbeat_errors():
            await waited_for

    async def test_a_cancellation_of_ours_goes_on(self) -> None:
        """A task that is cancelled from outside ends as cancelled."""

        async def wait() -> None:
            with heartbeat_errors():
                await asyncio.get_running_loop().create_future()

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _until_lost(connection: Connection) -> None:
    async with asyncio.timeout(10):
        while True:
            async with connection.channel():
                await asyncio.sleep(0.01)
