"""PostgreSQL's LISTEN: commits on other machines wake this process's workers."""

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
"""How long our own notification may take to come back through a pooler."""
_IDLE_SESSIONS_END = 140_000
"""The first version of PostgreSQL that can end idle sessions."""
_DEAF_S = 600.0
"""How long to leave a pooler alone that passes none through."""

_HEARTBEAT_S = 15.0
"""How often to check that the server is there and still the one to write to."""
_ANSWER_S = 5.0

log = structlog.get_logger()


class _Listener(psycopg.AsyncConnection[Any]):
    """A connection that sleeps until a notification; the driver's wakes ten times a second, for Ctrl-C."""

    async def wait(self, gen: PQGen[RV], interval: float = _HEARTBEAT_S, timeout: float | None = None) -> RV:  # noqa: ASYNC109
        """Wait as the driver does, but ignore its *interval*."""
        return await super().wait(gen, interval, timeout)


async def listen(engine: Engine, wake: Wake) -> None:
    """Pass notifications on to *wake* until cancelled, reconnecting whenever needed.

    This only saves time: otherwise the workers' slow poll finds the work. So if a pooler gives each
    transaction another server connection, where LISTEN has no effect, it logs that and stops.
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
    """Start to listen; return whether notifications arrive. Tested only behind a pooler."""
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
    """Wake the topics that notifications name, as long as the server is there and unchanged."""
    began = await _reads_only(connection)
    wake.signal_all()
    while True:
        async for notification in connection.notifies(timeout=_HEARTBEAT_S):
            if notification.payload in TOPICS:
                wake.signal(notification.payload)
        if await _reads_only(connection) != began:
            # A demoted server keeps its connections, and gets no more notifications.
            log.warning("listen interrupted", error="the server changed its role", retry_in_s=_RECONNECT_S)
            return


async def _reads_only(connection: Any) -> bool:
    with _bounded(connection):
        row = await (await connection.execute("SHOW transaction_read_only")).fetchone()
    return bool(row[0] == "on")


@contextmanager
def _bounded(connection: Any) -> Iterator[None]:
    """Close the socket if the block takes too long: a cancelled driver call also waits for the server."""
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
