"""Append events to a Redis or Valkey stream.

URL: `redis://[user:password@]host[:6379][/database]`, or `rediss:` for TLS. In an entry `id` is the event id,
`subject` the generation id. See docs/destinations/redis.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis.asyncio
from redis.asyncio.retry import Retry as DriverRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from receiver.destinations import Message
from receiver.destinations.options import authorities, count, option, read_options, seconds, setting, word
from receiver.destinations.reasons import first_words
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, Outcome, Retry

_DEFAULT_PORT: Final = 6379
_REFUSED_CREDENTIALS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)


@dataclass(frozen=True, slots=True)
class Options:
    """What may be set beside the URL, or in its query."""

    stream: str = option(word, "receiver:events")
    maxlen: int | None = option(count(at_most=10**12), None)
    wait: int | None = option(count(at_most=100), None)
    wait_timeout_s: float | None = option(seconds, None)
    timeout_s: float = option(seconds, 10.0)
    ca_file: str | None = option(authorities, None)


def connect(name: str, url: str, options: Mapping[str, str]) -> "RedisStream":
    """Return the destination for a `redis:` or `rediss:` URL. See `receiver.destinations.Connect`."""
    client_options, in_query = _read_url(name, url)
    settings = read_options(Options, name, options, query=in_query)
    if (settings.wait_timeout_s or 0) >= settings.timeout_s:
        raise ConfigError(f"{setting(name, 'wait_timeout_s')} must be less than {setting(name, 'timeout_s')}")
    if url.startswith("rediss:"):
        client_options |= {"ssl": True, "ssl_ca_certs": settings.ca_file}
    return RedisStream(name, settings, _client(client_options))


def _read_url(name: str, url: str) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        parts = urlsplit(url)
        return _target(parts), dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise ConfigError(
            f"{setting(name, 'url')} must look like redis://user:password@host:6379/0"
        ) from None


def _target(parts: SplitResult) -> dict[str, Any]:
    if not parts.hostname or parts.fragment:
        raise ValueError("not the address of a server")
    database = int(parts.path.strip("/") or "0")
    target: dict[str, Any] = {
        "host": unquote(parts.hostname),
        "port": parts.port or _DEFAULT_PORT,
        "db": database,
    }
    for credential in ("username", "password"):
        if value := getattr(parts, credential):
            target[credential] = unquote(value)
    return target


def _client(target: Mapping[str, Any]) -> redis.asyncio.Redis:
    # One deadline covers a whole batch, and only the worker sends a batch again: the driver does neither.
    return redis.asyncio.Redis(
        **target,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=DriverRetry(NoBackoff(), 0),
    )


class RedisStream:
    """Adds each message to one stream."""

    max_batch: Final = 500

    def __init__(self, name: str, options: Options, client: redis.asyncio.Redis) -> None:
        self._name = name
        self._options = options
        self._client = client

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Add *batch* in one round trip."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                answers, replicas = await self._add(batch)
        except TimeoutError:
            return [Retry(f"redis did not answer within {self._options.timeout_s:g} s")] * len(batch)
        except (RedisError, OSError) as error:
            return [self._failure(error)] * len(batch)
        return [self._outcome(answer, replicas) for answer in answers]

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._client.aclose()

    async def _add(self, batch: Sequence[Message]) -> tuple[list[Any], Any]:
        """Return the answer to each XADD, and that of the WAIT behind them, if any."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for message in batch:
                pipeline.xadd(
                    self._options.stream, _fields(message), maxlen=self._options.maxlen, approximate=True
                )
            if self._options.wait is None or not batch:
                return await pipeline.execute(raise_on_error=False), None
            # WAIT speaks of what its own connection wrote, and a pipeline is one connection.
            pipeline.execute_command("WAIT", self._options.wait, self._wait_ms)
            *answers, replicas = await pipeline.execute(raise_on_error=False)
            return answers, replicas

    @property
    def _wait_ms(self) -> int:
        wait_s = self._options.wait_timeout_s or self._options.timeout_s / 2
        return max(int(wait_s * 1000), 1)  # 0 would be for ever

    def _outcome(self, answer: bytes | Exception, replicas: int | Exception | None) -> Outcome:
        if isinstance(answer, Exception):
            return self._failure(answer)
        if isinstance(replicas, Exception):
            return self._failure(replicas)
        wanted = self._options.wait or 0
        if replicas is not None and replicas < wanted:
            short = f"{replicas} of {wanted} replicas had the entry after {self._wait_ms / 1000:g} s"
            return Retry(f"{short} ({setting(self._name, 'wait')})")
        return Delivered(answer.decode())

    def _failure(self, error: Exception) -> Retry:
        url, stream = setting(self._name, "url"), setting(self._name, "stream")
        if isinstance(error, _REFUSED_CREDENTIALS):
            rights = "XADD" if self._options.wait is None else "XADD and WAIT"
            who = f"the user or password in {url}, or its right to {rights}"
            return Retry(f"redis refused {who}: {type(error).__name__}")
        if isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE"):
            return Retry(f"the key {self._options.stream!r} is not a stream: rename it or change {stream}")
        if isinstance(error, ResponseError):
            return Retry(f"redis refused the entry: {first_words(error, str(error))}")
        return Retry(f"redis could not be reached: {type(error).__name__} ({url})")


def _fields(message: Message) -> dict[Any, Any]:
    return {"id": message.id, "type": message.type, "subject": message.generation_id, "event": message.body}
