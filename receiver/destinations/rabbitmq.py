"""Publish events to RabbitMQ, confirmed and persistent.

URL: `amqp://user:password@host[:5672][/vhost]`, or `amqps:` (5671) for TLS.
See docs/destinations/rabbitmq.md.
"""

import asyncio
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from aiormq import spec
from aiormq.abc import AbstractChannel
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionChannelError,
    ConnectionClosed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from yarl import URL

from receiver.destinations import Message
from receiver.destinations.context import CONTENT_TYPE, attributes, trace
from receiver.destinations.in_flight import InFlight
from receiver.destinations.options import option, read_options, setting, word
from receiver.destinations.rabbitmq_connection import Connection, heartbeat_errors
from receiver.destinations.reasons import cause as reason
from receiver.destinations.reasons import first_words, hung_up
from receiver.destinations.tls import TlsOptions, advice, check_certificate, context, renew
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

_DEFAULT_QUEUE: Final = "receiver.events"
_MAX_NAME_BYTES: Final = 255
_PERSISTENT: Final = 2
_ENDED_OVER_ONE: Final = (ChannelPreconditionFailed, ConnectionChannelError)
"""Errors for a message that is too large, and for those sent after it."""
_BROKEN: Final = (AMQPError, ChannelInvalidStateError, OSError)


def _name(text: str) -> str:
    if len(word(text)) > _MAX_NAME_BYTES:
        raise ValueError(f"at most {_MAX_NAME_BYTES} characters")
    return text


@dataclass(frozen=True, slots=True)
class Options(TlsOptions):
    """Options besides the URL, or in its query."""

    queue: str | None = option(_name, None)
    exchange: str | None = option(_name, None)
    routing_key: str | None = option(_name, None)


def connect(name: str, url: str, options: Mapping[str, str]) -> "RabbitExchange":
    """Return the destination for an `amqp:` or `amqps:` URL. See `receiver.destinations.Connect`."""
    target, in_query = _read_url(name, url)
    settings = read_options(Options, name, options, query=in_query)
    if settings.exchange and settings.queue:
        raise ConfigError(
            f"{setting(name, 'queue')} is for the default exchange: unset it, or {setting(name, 'exchange')}"
        )
    if settings.routing_key and not settings.exchange:
        raise ConfigError(
            f"{setting(name, 'routing_key')} needs {setting(name, 'exchange')}; "
            f"without one, set {setting(name, 'queue')}"
        )
    check_certificate(name, settings, encrypted=target.scheme == "amqps")
    return RabbitExchange(name, settings, target)


def _read_url(name: str, url: str) -> tuple[URL, dict[str, str]]:
    try:
        target = URL(url)
        usable = bool(target.host) and not target.fragment and target.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{setting(name, 'url')} must look like amqp://user:password@host:5672/vhost")
    return target.with_query(None), dict(parse_qsl(target.raw_query_string, keep_blank_values=True))


class RabbitExchange:
    """Publishes to one exchange, each batch on its own channel."""

    max_batch: Final = 200
    concurrency: Final = 1

    def __init__(self, name: str, options: Options, target: URL) -> None:
        self._name = name
        self._options = options
        self._target = target
        self._tls = context(options) if target.scheme == "amqps" else None
        self._has_worked = False
        self._connection: Connection | None = None
        self._dialling = asyncio.Lock()
        self._in_flight = InFlight()

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Publish *batch* at once, and wait until each message is confirmed."""
        outcomes: list[Outcome] = [Retry(self._silence())] * len(batch)
        if not batch:
            return outcomes
        try:
            async with self._in_flight.deadline(self._options.timeout_s):
                with heartbeat_errors():
                    await self._publish_all(batch, outcomes)
        except TimeoutError:
            if self._connection is not None:
                self._connection.abort()
        except _BROKEN as error:
            outcomes = [
                each if isinstance(each, Delivered | GivenUp) else self._failure(error) for each in outcomes
            ]
        return outcomes

    async def check(self) -> Delivered | Retry:
        """Sign in and open a channel. Only a message would show whether a queue takes it."""
        try:
            async with self._in_flight.deadline(self._options.timeout_s):
                with heartbeat_errors():
                    async with (await self._shared()).channel():
                        return Delivered("signed in")
        except TimeoutError:
            return Retry(self._silence())
        except _BROKEN as error:
            return Retry(self._explain(error))

    async def aclose(self) -> None:
        """Close the connection; a send in flight ends now."""
        self._in_flight.end()
        if self._connection is not None:
            await self._connection.aclose()

    async def _publish_all(self, batch: Sequence[Message], outcomes: MutableSequence[Outcome]) -> None:
        connection = await self._shared()
        causes = await self._publish(connection, batch, range(len(batch)), outcomes)
        if len(batch) > 1 and any(isinstance(cause, _ENDED_OVER_ONE) for cause in causes.values()):
            # Messages in flight to the closed channel may still make the server close the connection.
            if connection is self._connection:
                self._connection = None
            connection.retire()
            causes = await self._publish_apart(batch, list(causes), outcomes)
        for index, cause in causes.items():
            outcomes[index] = self._failure(cause)

    async def _publish_apart(
        self, batch: Sequence[Message], indexes: Iterable[int], outcomes: MutableSequence[Outcome]
    ) -> dict[int, Exception]:
        """Publish one by one, because the server does not say which message made it close the channel."""
        causes: dict[int, Exception] = {}
        async with aclosing(await self._dial()) as connection:
            for index in indexes:
                causes |= await self._publish(connection, batch, [index], outcomes)
        return causes

    async def _shared(self) -> Connection:
        async with self._dialling:
            if self._connection is None or not self._connection.is_open:
                self._connection = await self._dial()
            return self._connection

    async def _dial(self) -> Connection:
        if self._tls:
            renew(self._tls, self._options)
        connection = Connection(self._target, self._tls, title=f"receiver {self._name}")
        await connection.dial()
        return connection

    async def _publish(
        self,
        connection: Connection,
        batch: Sequence[Message],
        indexes: Iterable[int],
        outcomes: MutableSequence[Outcome],
    ) -> dict[int, Exception]:
        """Publish the messages at *indexes* on one channel; return why some of them were left undecided."""
        causes: dict[int, Exception] = {}

        async def publish(index: int) -> None:
            try:
                with heartbeat_errors():
                    outcomes[index] = await self._confirmed(channel, batch[index])
            except _BROKEN as error:
                causes[index] = error

        async with connection.channel() as channel:
            await asyncio.gather(*(publish(index) for index in indexes))
        return _of_one_cause(causes)

    async def _confirmed(self, channel: AbstractChannel, message: Message) -> Outcome:
        try:
            await channel.basic_publish(
                message.body,
                exchange=self._options.exchange or "",
                routing_key=self._routing_key(message),
                properties=spec.Basic.Properties(
                    content_type=CONTENT_TYPE,
                    delivery_mode=_PERSISTENT,
                    message_id=message.id,
                    headers={**attributes(message, prefix="cloudEvents:"), **trace(message)},
                ),
                mandatory=True,
            )
        except PublishError:
            return Retry(self._unroutable(message))
        except DeliveryError:
            return Retry("RabbitMQ did not take the event (nack): is the queue full, or without a leader?")
        self._has_worked = True
        return Delivered()

    def _routing_key(self, message: Message) -> str:
        if self._options.exchange:
            return self._options.routing_key or message.type
        return self._options.queue or _DEFAULT_QUEUE

    def _failure(self, cause: Exception) -> Outcome:
        if isinstance(cause, ChannelPreconditionFailed):
            return GivenUp(f"RabbitMQ refused the event: {_words(cause)}")
        return Retry(self._explain(cause))

    def _explain(self, cause: Exception) -> str:
        url, exchange = setting(self._name, "url"), setting(self._name, "exchange")
        match cause:
            case ChannelNotFoundEntity():
                return f"RabbitMQ has no such exchange: create it or correct {exchange}"
            case ChannelAccessRefused():
                return f"RabbitMQ denied the user in {url} permission to write: {_words(cause)}"
            case AuthenticationError() | ProbableAuthenticationError():
                return f"RabbitMQ refused the user or password in {url}"
            case InvalidFrameError():
                # The library's error for a refusal instead of Connection.OpenOk; it drops the server's words.
                return (
                    f"RabbitMQ refused the virtual host in {url}: it is missing or not the user's, or a limit"
                    " of connections is reached"
                )
            case ConnectionClosed():
                return f"RabbitMQ refused the connection to {url}: {_words(cause)}"
            case _:
                return f"RabbitMQ could not be reached: {reason(cause)}{self._hint(cause)} ({url})"

    def _hint(self, cause: Exception) -> str:
        if self._has_worked or not hung_up(cause):
            return ""
        encrypted = self._tls is not None
        return f": it hung up{advice(self._name, self._options, encrypted=encrypted, scheme='amqps:')}"

    def _unroutable(self, message: Message) -> str:
        key = self._routing_key(message)
        if self._options.exchange is None:
            return f"RabbitMQ has no queue {key!r}: create it or correct {setting(self._name, 'queue')}"
        return (
            f"no queue takes routing key {key!r} from exchange {self._options.exchange!r}: bind one, "
            f"or correct {setting(self._name, 'exchange')} or {setting(self._name, 'routing_key')}"
        )

    def _silence(self) -> str:
        return (
            f"RabbitMQ did not confirm within {self._options.timeout_s:g} s: it hangs, "
            "or blocks publishers because it is short of memory or disk"
        )


def _of_one_cause(causes: Mapping[int, Exception]) -> dict[int, Exception]:
    """Give outcomes that merely report a closed channel the reason for its closing."""
    why = next((each for each in causes.values() if not isinstance(each, ChannelInvalidStateError)), None)
    return {
        index: why if why and isinstance(each, ChannelInvalidStateError) else each
        for index, each in causes.items()
    }


def _words(error: Exception) -> str:
    return first_words(error, " ".join(str(argument) for argument in error.args))
