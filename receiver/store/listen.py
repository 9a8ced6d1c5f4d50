"""PostgreSQL's LISTEN: other machines' commits wake this process's workers."""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import structlog
from psycopg.abc import RV, PQGen
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from receiver.store.engine import WAKE_CHANNEL, notify
from receiver.store.postgres_url import read_target
from receiver.store.wake import TOPICS, Wake

_RECONNECT_S = 2.0
_ECHO_S = 2.0
"""How long our own notification may take through a pooler."""
_IDLE_SESSIONS_END = 140_000
"""The version of PostgreSQL that can end a session for being idle."""
_DEAF_S = 600.0
"""How long a pooler that lets none through is left alone."""

_HEARTBEAT_S = 15.0
"""How often the server is asked whether it is there and still the one that is written to."""
_ANSWER_S = 5.0

log = structlog.get_logger()


class _Listener(psycopg.AsyncConnection[Any]):
    """A connection that sleeps until something comes; the driver's wakes ten times a second, for Ctrl-C."""

    async def wait(self, gen: PQGen[RV], interval: float = _HEARTBEAT_S, timeout: float | None = None) -> RV:  # noqa: ASYNC109
        """Wait as the driver does, but for its *interval*."""
        return await super().wait(gen, interval, timeout)


async def listen(engine: Engine, wake: Wake) -> None:
    """Pass notifications on to *wake* until cancelled, reconnecting as often as needed.

    Only a short cut: without it work is found by the workers' slow poll. So where a pooler hands each
    transaction another connection of the server, and LISTEN has no effect, it says so and is left alone.
    """
    target = read_target(engine.url)
    while True:
        pause_s = _RECONNECT_S
        try:
            async with await _Listener.connect(
                **target.parameters, autocommit=True, prepare_threshold=None
            ) as connection:
                if await _listens(connection, engine):
                    await _pass_on(connection, wake)
                else:
                    log.warning("LISTEN has no effect through this pooler; polling instead")
                    pause_s = _DEAF_S
        except (psycopg.Error, SQLAlchemyError) as error:
            log.warning("listen interrupted", error=type(error).__name__, retry_in_s=_RECONNECT_S)
        await asyncio.sleep(pause_s)


async def _listens(connection: Any, engine: Engine) -> bool:
    """Begin to listen; whether what others notify arrives. Asked only where a pooler stands between."""
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    is_direct = row[0] == connection.info.backend_pid
    if is_direct and connection.info.server_version >= _IDLE_SESSIONS_END:
        await connection.execute("SET idle_session_timeout = 0")
    await connection.execute(f"LISTEN {WAKE_CHANNEL}")
    if is_direct:
        return True
    echo = secrets.token_hex(8)
    await asyncio.to_thread(_notify, engine, echo)
    async for notification in connection.notifies(timeout=_ECHO_S):
        if notification.payload == echo:
            return True
    await connection.execute("UNLISTEN *")
    return False


def _notify(engine: Engine, echo: str) -> None:
    with engine.begin() as connection:
        notify(connection, [echo])


async def _pass_on(connection: Any, wake: Wake) -> None:
    """Wake those whom notifications name, for as long as the server is there and as it was."""
    began = await _reads_only(connection)
    wake.signal_all()
    while True:
        async for notification in connection.notifies(timeout=_HEARTBEAT_S):
            if notification.payload in TOPICS:
                wake.signal(notification.payload)
        if await _reads_only(connection) != began:
            # Who was demoted keeps its connections, and notifies nobody any more.
            log.warning("listen interrupted", error="the server changed its role", retry_in_s=_RECONNECT_S)
            return


async def _reads_only(connection: Any) -> bool:
    with _bounded(connection):
        row = await (await connection.execute("SHOW transaction_read_only")).fetchone()
    return bool(row[0] == "on")


@contextmanager
def _bounded(connection: Any) -> Iterator[None]:
    """Close the socket if the block takes too long: a driver that is cancelled waits for the server, too."""
    held = socket.socket(fileno=socket.dup(connection.fileno()))

    def cut() -> None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)

    alarm = asyncio.get_running_loop().call_later(_ANSWER_S, cut)
    try:
        yield
    finally:
        alarm.cancel()
        held.close()
