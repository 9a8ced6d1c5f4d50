"""PostgreSQL's LISTEN: other machines' commits wake this process's workers."""

import asyncio
from typing import Any

import structlog
from sqlalchemy import Engine

from receiver.store.engine import WAKE_CHANNEL, postgres_arguments
from receiver.store.wake import Wake

_RECONNECT_S = 2.0

log = structlog.get_logger()


async def listen(engine: Engine, wake: Wake) -> None:
    """Pass notifications on to *wake* until cancelled, reconnecting as often as needed.

    Only a short cut: without it work is found by the workers' slow poll.
    """
    import psycopg  # noqa: PLC0415  only where PostgreSQL is configured is its driver installed

    _, parameters = engine.dialect.create_connect_args(engine.url)
    parameters = {**parameters, **postgres_arguments(engine.url)}
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
                await _pass_on(connection, wake)
        except psycopg.Error as error:
            log.warning("listen interrupted", error=type(error).__name__, retry_in_s=_RECONNECT_S)
        await asyncio.sleep(_RECONNECT_S)


async def _pass_on(connection: Any, wake: Wake) -> None:
    await connection.execute(f"LISTEN {WAKE_CHANNEL}")
    wake.signal_all()
    async for notification in connection.notifies():
        wake.signal(notification.payload)
