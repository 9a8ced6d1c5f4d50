"""Append events to a Redis or Valkey stream.

URL: `redis://[user:password@]host[:6379][/database]`, `redis+sentinel://…host:26379,host/primary` or
`redis+cluster://…host,host`; each with `rediss` for TLS. In an entry `id` is the event id, `subject` the
generation id. See docs/destinations/redis.md.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import redis.asyncio
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from receiver.destinations import Message
from receiver.destinations.options import (
    Cluster,
    count,
    option,
    read_cluster,
    read_options,
    seconds,
    setting,
    word,
)
from receiver.destinations.reasons import cause, first_words, hung_up
from receiver.destinations.redis_connection import Address, Link, NoPrimaryError, client, named_by_sentinels
from receiver.destinations.tls import TlsOptions, advice, check_certificate, context, renew
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, Outcome, Retry

_DEFAULT_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_EXAMPLES: Final = {
    "": "redis://user:password@host:6379/0",
    "sentinel": "redis+sentinel://user:password@host:26379,host:26379/primary/0",
    "cluster": "redis+cluster://user:password@host:6379,host:6379",
}
_HOPS: Final = 3
"""How often a cluster may redirect one batch."""
_ENTRY: Final = re.compile(rb"[0-9]+-[0-9]+")
_NO_PLACE: Final = "max number of clients reached"
_REFUSED_CREDENTIALS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)


@dataclass(frozen=True, slots=True)
class Options(TlsOptions):
    """Options besides the URL, or in its query."""

    stream: str = option(word, "receiver:events")
    maxlen: int | None = option(count(at_most=10**12), None)
    wait: int | None = option(count(at_most=100), None)
    wait_timeout_s: float | None = option(seconds, None)
    sentinel_username: str | None = option(word, None)
    sentinel_password: str | None = option(word, None, secret=True)


def connect(name: str, url: str, options: Mapping[str, str]) -> "RedisStream":
    """Return the destination for a URL of these schemes. See `receiver.destinations.Connect`."""
    target = _read_url(name, url)
    settings = read_options(Options, name, options, query=target.cluster.query)
    if (settings.wait_timeout_s or 0) >= settings.timeout_s:
        raise ConfigError(f"{setting(name, 'wait_timeout_s')} must be less than {setting(name, 'timeout_s')}")
    check_certificate(name, settings, encrypted=target.encrypted)
    return RedisStream(name, settings, target)


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL."""

    kind: str
    """Empty for one server, `sentinel` or `cluster`."""
    encrypted: bool
    service: str
    """Sentinel's name for the primary; else empty."""
    database: int
    cluster: Cluster

    @property
    def addresses(self) -> list[Address]:
        """The servers, or the Sentinels."""
        return [_address(server) for server in self.cluster.servers]


def _read_url(name: str, url: str) -> Target:
    scheme, _, kind = url.partition(":")[0].partition("+")
    try:
        return _target(url, kind, encrypted=scheme == "rediss")
    except ValueError:
        raise ConfigError(f"{setting(name, 'url')} must look like {_EXAMPLES[kind]}") from None


def _target(url: str, kind: str, *, encrypted: bool) -> Target:
    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    service = unquote(path.pop(0)) if kind == "sentinel" else ""
    database = int("/".join(path) or "0")
    port = _SENTINEL_PORT if kind == "sentinel" else _DEFAULT_PORT
    cluster = read_cluster(urlunsplit(parts._replace(path="")), default_port=port)
    several = len(cluster.servers) > 1
    if database < 0 or (kind == "sentinel") != bool(service) or (kind == "cluster" and database):
        raise ValueError("a database, and what Sentinels call the primary")
    if several and not kind:
        raise ValueError("one server")
    return Target(kind, encrypted, service, database, cluster)


def _address(server: str) -> Address:
    host, _, port = server.rpartition(":")
    return unquote(host.strip("[]")), int(port)


class RedisStream:
    """Adds each message to one stream, over as many connections as batches run at once."""

    max_batch: Final = 500
    concurrency: Final = 1

    def __init__(self, name: str, options: Options, target: Target) -> None:
        self._name = name
        self._options = options
        self._target = target
        self._tls = context(options) if target.encrypted else None
        self._moved_to: Address | None = None
        """The cluster node with the stream, once another node has named it."""
        self._has_worked = False
        self._idle: list[Link] = []
        self._busy: set[Link] = set()

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Add *batch* in one round trip."""
        if not batch:
            return []
        try:
            async with asyncio.timeout(self._options.timeout_s):
                answers, replicas = await self._add_where_it_belongs(batch)
        except TimeoutError:
            return [Retry(self._silence())] * len(batch)
        except (RedisError, OSError) as error:
            return [self._failure(error)] * len(batch)
        return [self._outcome(answer, replicas) for answer in answers]

    async def check(self) -> Delivered | Retry:
        """Connect and sign in. Only an entry would show whether the user may add entries."""
        try:
            async with asyncio.timeout(self._options.timeout_s), self._linked():
                return Delivered("signed in")
        except TimeoutError:
            return Retry(self._silence())
        except (RedisError, OSError) as error:
            return self._failure(error)

    async def aclose(self) -> None:
        """Close the connections, including those of a batch in progress."""
        await asyncio.gather(*(link.hang_up() for link in [*self._idle, *self._busy]))

    async def _add_where_it_belongs(self, batch: Sequence[Message]) -> tuple[list[Any], Any]:
        """Return the answer to each XADD, and to the WAIT after them, if any."""
        asking = False
        for _ in range(_HOPS):
            async with self._linked() as link:
                answers, replicas = await self._add(link, batch, asking=asking)
                link.is_good = not any(isinstance(each, Exception) for each in [*answers, replicas]) and (
                    replicas is None or replicas >= (self._options.wait or 0)
                )
            # All use one key, so a cluster's redirect applies to all.
            moved = answers[0]
            if self._target.kind != "cluster" or not isinstance(moved, AskError):
                break
            # While the slot migrates, its new node accepts only commands after ASKING.
            asking = not isinstance(moved, MovedError)
            # A cluster may omit the host: it is then the node that answered.
            self._moved_to = (moved.host or link.address[0], moved.port)
        return answers, replicas

    @contextlib.asynccontextmanager
    async def _linked(self) -> AsyncIterator["Link"]:
        """Lend a connection; if it saw an error, neither it nor any idle one is reused.

        A server that became a replica keeps its connections, and the name may lead to another one by now.
        """
        link = self._idle.pop() if self._idle else await self._dial()
        self._busy.add(link)
        try:
            yield link
        finally:
            self._busy.discard(link)
            if link.is_good:
                self._idle.append(link)
            else:
                self._moved_to = None
                left, self._idle = [link, *self._idle], []
                await asyncio.gather(*(each.hang_up() for each in left))

    async def _dial(self) -> "Link":
        *others, last = await self._candidates()
        for address in others:
            # A silent one leaves time for the next.
            with contextlib.suppress(RedisError, OSError):
                async with asyncio.timeout(self._share_s):
                    return await self._link(address)
        return await self._link(last)

    async def _candidates(self) -> Sequence[Address]:
        target = self._target
        if target.kind == "sentinel":
            return [await named_by_sentinels(map(self._sentinel, target.addresses), target.service)]
        return [*([self._moved_to] if self._moved_to else []), *target.addresses]

    async def _link(self, address: Address) -> Link:
        link = Link(address, self._client(address))
        try:
            await link.connect()
        except BaseException:
            await link.hang_up()
            raise
        return link

    @property
    def _share_s(self) -> float:
        """How long one server may be silent when there are others, in seconds."""
        return self._options.timeout_s / 4

    def _client(self, address: Address) -> redis.asyncio.Redis:
        target = self._target
        return client(
            address,
            tls=self._renewed(),
            db=target.database,
            username=target.cluster.username,
            password=target.cluster.password,
        )

    def _sentinel(self, address: Address) -> redis.asyncio.Redis:
        return client(
            address,
            tls=self._renewed(),
            limit_s=self._share_s,
            username=self._options.sentinel_username,
            password=self._options.sentinel_password,
            decode_responses=True,
        )

    def _renewed(self) -> ssl.SSLContext | None:
        if self._tls:
            renew(self._tls, self._options)
        return self._tls

    async def _add(self, link: Link, batch: Sequence[Message], *, asking: bool) -> tuple[list[Any], Any]:
        limit = () if self._options.maxlen is None else ("MAXLEN", "~", self._options.maxlen)
        commands: list[tuple[Any, ...]] = []
        for message in batch:
            if asking:  # holds for one command
                commands.append(("ASKING",))
            commands.append(("XADD", self._options.stream, *limit, "*", *_fields(message)))
        if self._options.wait is not None:
            # WAIT applies to its own connection's writes.
            commands.append(("WAIT", self._options.wait, self._wait_ms))
        answers = await link.ask(commands)
        replicas = None if self._options.wait is None else _checked(answers.pop(), _is_number)
        return [_checked(each, _is_entry) for each in answers[asking :: 1 + asking]], replicas

    @property
    def _wait_ms(self) -> int:
        wait_s = self._options.wait_timeout_s or self._options.timeout_s / 2
        return max(int(wait_s * 1000), 1)  # 0 would mean no limit

    def _outcome(self, answer: bytes | Exception, replicas: int | Exception | None) -> Outcome:
        if isinstance(answer, Exception):
            return self._failure(answer)
        if isinstance(replicas, Exception):
            return self._failure(replicas)
        wanted = self._options.wait or 0
        if replicas is not None and replicas < wanted:
            short = f"{replicas} of {wanted} replicas had the entry after {self._wait_ms / 1000:g} s"
            return Retry(f"{short} ({setting(self._name, 'wait')})")
        self._has_worked = True
        return Delivered(answer.decode())

    def _failure(self, error: Exception) -> Retry:
        return Retry(f"{self._explain(error)} ({setting(self._name, 'url')})")

    def _explain(self, error: Exception) -> str:
        words, key = first_words(error, str(error)), repr(self._options.stream)
        if isinstance(error, ResponseError) and words.startswith("WRONGTYPE"):
            return f"the key {key} is not a stream: rename it or change {setting(self._name, 'stream')}"
        if _NO_PLACE in words:
            return f"redis takes no more connections: {_NO_PLACE}"
        for kinds, why in {
            _REFUSED_CREDENTIALS: f"redis refused {self._who()}: {type(error).__name__}",
            (MovedError,): "redis is a node of a cluster: begin the URL with redis+cluster:",
            (AskError,): "redis is moving the stream to another node",
            (ReadOnlyError,): "redis has become a replica (read only)",
            (BusyLoadingError,): "redis is still loading its data",
            (NoPrimaryError, _NotRedisError): words,
            (ResponseError,): f"redis refused the entry: {words}",
        }.items():
            if isinstance(error, kinds):
                return why
        return f"redis could not be reached: {cause(error)}{self._hint(error)}"

    def _hint(self, error: Exception) -> str:
        if self._has_worked or not hung_up(error):
            return ""
        encrypted, scheme = (
            self._target.encrypted,
            f"rediss{'+' * bool(self._target.kind)}{self._target.kind}:",
        )
        return f": it hung up{advice(self._name, self._options, encrypted=encrypted, scheme=scheme)}"

    def _silence(self) -> str:
        return f"redis did not answer within {self._options.timeout_s:g} s"

    def _who(self) -> str:
        rights = "XADD" if self._options.wait is None else "XADD and WAIT"
        return f"the user or password, or its permission for {rights}"


class _NotRedisError(RedisError):
    """The other side gave an answer that no Redis server gives."""


def _checked(answer: Any, is_right: Callable[[Any], bool]) -> Any:
    if isinstance(answer, Exception) or is_right(answer):
        return answer
    return _NotRedisError("what answers is not Redis: it returned no entry id")


def _is_entry(answer: Any) -> bool:
    return isinstance(answer, bytes) and _ENTRY.fullmatch(answer) is not None


def _is_number(answer: Any) -> bool:
    return isinstance(answer, int)


def _fields(message: Message) -> tuple[str | bytes, ...]:
    attributes = ("id", message.id, "type", message.type, "subject", message.generation_id)
    return (*attributes, "event", message.body)
