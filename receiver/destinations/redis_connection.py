"""One connection to a Redis or Valkey server, and where Sentinels say that the primary is."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry as DriverRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

_GOODBYE_S: Final = 1.0

Address = tuple[str, int]
"""Host and port."""


class NoPrimaryError(RedisError):
    """Sentinels answered, but none knows a primary of that name."""


@dataclass(eq=False, slots=True)
class Link:
    """One connection to one server."""

    address: Address
    client: redis.asyncio.Redis
    is_good: bool = False
    """Whether the latest answers were all fine."""

    async def connect(self) -> None:
        """Connect and sign in.

        Raises:
            RedisError, OSError: the server refused, or could not be reached.
        """
        pool = self.client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # the library's
        await pool.release(connection)

    async def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send *commands* in one write; return the answer or error of each.

        Raises:
            RedisError, OSError: the connection was lost.
        """
        # Like the driver's pipeline, without its hooks for commands that we do not send.
        pool = self.client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # the library's
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _answer(connection) for _ in commands]
        finally:
            await pool.release(connection)

    async def hang_up(self) -> None:
        """Disconnect, whatever the server does."""
        with contextlib.suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(_GOODBYE_S):
                await self.client.aclose()


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


class _Encrypted(SSLConnection):
    """Encrypts as *tls* says; the driver would also trust the system's authorities."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls


def client(
    address: Address, *, tls: ssl.SSLContext | None, limit_s: float | None = None, **options: Any
) -> redis.asyncio.Redis:
    """Return an unconnected client of the server at *address*, which waits *limit_s* for each answer."""
    # One deadline covers a whole batch, and only the worker sends a batch again: the driver does neither.
    encrypted: dict[str, Any] = {"connection_class": _Encrypted, "tls": tls} if tls else {}
    pool = redis.asyncio.ConnectionPool(
        host=address[0],
        port=address[1],
        protocol=2,
        socket_timeout=limit_s,
        socket_connect_timeout=limit_s,
        retry=DriverRetry(NoBackoff(), 0),
        **encrypted,
        **options,
    )
    return redis.asyncio.Redis.from_pool(pool)


async def named_by_sentinels(sentinels: Iterable[redis.asyncio.Redis], service: str) -> Address:
    """Return the primary of *service* from the first of *sentinels* that knows it.

    Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/

    Raises:
        RedisError, OSError: none knows.
    """
    failures: list[Exception] = []
    for sentinel in sentinels:
        try:
            async with contextlib.aclosing(sentinel):
                address: Any = await sentinel.sentinel_get_master_addr_by_name(service)
        except (RedisError, OSError) as error:
            failures.append(error)
        else:
            if address:
                return str(address[0]), int(address[1])
            # This says more than a Sentinel that is down.
            failures.insert(0, NoPrimaryError(f"no Sentinel knows a primary called {service!r}"))
    raise failures[0]
