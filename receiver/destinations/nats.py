"""Publish events to a NATS JetStream stream.

URL: `nats://user:password@host[:4222],host:4222` or `nats://token@host`; `nats+tls:` requires TLS.
See docs/destinations/nats.md.
"""

import asyncio
import re
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from nats.errors import Error, SecureConnWantedError
from nats.js.errors import APIError, NoStreamResponseError

from receiver.destinations import Message
from receiver.destinations.context import CONTENT_TYPE, attributes, trace
from receiver.destinations.in_flight import InFlight
from receiver.destinations.nats_connection import Connection, NeverAcknowledgesError, NoCertificateError
from receiver.destinations.options import (
    Cluster,
    existing_file,
    option,
    read_cluster,
    read_options,
    setting,
    word,
)
from receiver.destinations.reasons import cause, first_words
from receiver.destinations.tls import TlsOptions, check_certificate, context, renew
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

_DEFAULT_PORT: Final = 4222
_DENIED: Final = re.compile("permissions violation", re.IGNORECASE)
_REFUSED_CREDENTIALS: Final = re.compile("authorization|authentication", re.IGNORECASE)
_SEED: Final = re.compile(rb"BEGIN USER NKEY SEED-*\s+(\S+)")
_LARGER_THAN_STREAM_TAKES: Final = 10054
"""JSStreamMessageExceedsMaximumErr, https://github.com/nats-io/nats-server/blob/main/server/errors.json"""


class BadCredentialsError(Error):
    """The credentials file has become invalid since the start."""


def _subject(text: str) -> str:
    tokens = word(text).split(".")
    if not all(tokens) or {"*", ">"} & set(text) or text.startswith("$"):
        raise ValueError("a subject to publish to: words separated by dots, without wildcards")
    return text


def _credentials(text: str) -> str:
    held = Path(existing_file(text)).read_bytes()
    # The library searches forever in a file that lacks the first of these.
    seed = _SEED.search(held)
    if b"BEGIN NATS USER JWT" not in held or seed is None or not _is_seed(seed[1]):
        raise ValueError("the path of a credentials file with a user's JWT and seed")
    return text


def _check_credentials(path: str | None) -> None:
    """Reload the credentials ourselves: the library would fail in many ways, or search them forever."""
    try:
        _credentials(path) if path else None
    except (ValueError, OSError):
        raise BadCredentialsError from None


def _is_seed(text: bytes) -> bool:
    if find_spec("nkeys") is None:
        return True  # refused below, with the command that installs it
    import nkeys  # noqa: PLC0415  # an extra's

    try:
        nkeys.from_seed(bytearray(text)).wipe()
    except (nkeys.NkeysError, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Options(TlsOptions):
    """Options besides the URL, or in its query."""

    subject: str = option(_subject, "receiver.events")
    creds_file: str | None = option(_credentials, None)


def connect(name: str, url: str, options: Mapping[str, str]) -> "JetStream":
    """Return the destination for a `nats:` or `nats+tls:` URL. See `receiver.destinations.Connect`."""
    try:
        cluster = read_cluster(url, default_port=_DEFAULT_PORT)
    except ValueError:
        raise ConfigError(f"{setting(name, 'url')} must look like nats://user:password@host:4222") from None
    settings = read_options(Options, name, options, query=cluster.query)
    if settings.creds_file and find_spec("nkeys") is None:
        raise ConfigError(
            f"{setting(name, 'creds_file')} needs the package 'nkeys': pip install 'avs-receiver[nats]'"
        )
    # `nats:` encrypts too, if the server asks for it.
    check_certificate(name, settings, encrypted=True)
    return JetStream(name, settings, _dial_options(name, url, cluster, settings))


def _dial_options(name: str, url: str, cluster: Cluster, settings: Options) -> dict[str, Any]:
    by_token = cluster.username is not None and cluster.password is None
    return {
        "servers": [f"nats://{server}" for server in cluster.servers],
        "name": f"receiver {name}",
        "user": None if by_token else cluster.username,
        "password": cluster.password,
        "token": cluster.username if by_token else None,
        "user_credentials": settings.creds_file,
        "tls": context(settings),
        "has_certificate": bool(settings.cert_file),
        "insist_on_tls": url.startswith("nats+tls:"),
    }


class JetStream:
    """Publishes to one subject, with the messages of a batch in parallel."""

    max_batch: Final = 200
    concurrency: Final = 1

    def __init__(self, name: str, options: Options, dial_options: Mapping[str, Any]) -> None:
        self._name = name
        self._options = options
        self._dial_options = dial_options
        self._connection: Connection | None = None
        self._dialling = asyncio.Lock()
        self._in_flight = InFlight()
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Publish *batch* at once, and wait until the stream has acknowledged each message."""
        outcomes: list[Outcome] = [Retry(self._silence())] * len(batch)
        if not batch:
            return outcomes
        connection: Connection | None = None
        try:
            async with self._in_flight.deadline(self._options.timeout_s):
                connection = await self._dial()
                await self._publish_all(connection, batch, outcomes)
        except TimeoutError:
            self._hang_up(connection)
            if connection is None:
                return [Retry(self._no_greeting())] * len(batch)
            if connection.trouble is not None:
                failure = self._failure(connection.trouble)
                outcomes = [failure if isinstance(each, Retry) else each for each in outcomes]
        except (Error, OSError) as error:
            outcomes = [self._failure(error)] * len(batch)
        return outcomes

    async def check(self) -> Delivered | Retry:
        """Sign in, and check that a stream takes the subject."""
        try:
            async with self._in_flight.deadline(self._options.timeout_s):
                await self._dial()
        except TimeoutError:
            return Retry(self._no_greeting())
        except (Error, OSError) as error:
            return Retry(self._explain(error))
        return Delivered(f"signed in; a stream takes {self._options.subject!r}")

    async def aclose(self) -> None:
        """Close the connection; a send in flight ends now."""
        self._in_flight.end()
        self._hang_up(self._connection)
        await asyncio.gather(*self._closing)

    async def _dial(self) -> Connection:
        async with self._dialling:
            if self._connection is None or self._connection.is_closed:
                self._connection = None
                _check_credentials(self._options.creds_file)
                renew(self._dial_options["tls"], self._options)
                connection = Connection(self._on_trouble)
                try:
                    await connection.dial(**self._dial_options)
                    await connection.open_inbox()
                    await connection.check_stream(self._options.subject)
                except BaseException:
                    self._hang_up(connection)
                    raise
                self._connection = connection
            return self._connection

    async def _publish_all(
        self, connection: Connection, batch: Sequence[Message], outcomes: MutableSequence[Outcome]
    ) -> None:
        async def publish(index: int) -> None:
            outcomes[index] = await self._acknowledged(connection, batch[index])

        await asyncio.gather(*map(publish, range(len(batch))))

    async def _acknowledged(self, connection: Connection, message: Message) -> Outcome:
        headers = {
            # A stream drops repeated ids, whatever their subject: another destination may share it.
            "Nats-Msg-Id": f"{message.id}/{self._options.subject}",
            "content-type": CONTENT_TYPE,
            **attributes(message, prefix="ce-"),
            **trace(message),
        }
        size = len(message.body) + _wire_bytes(headers)
        if size > connection.max_payload:
            return GivenUp(
                f"the event has {size} bytes; NATS takes {connection.max_payload} at most (max_payload)"
            )
        try:
            acknowledged = await connection.publish_acknowledged(self._options.subject, message.body, headers)
        except (Error, OSError) as error:
            return self._failure(error)
        return Delivered(f"{acknowledged.stream}:{acknowledged.sequence}")

    def _on_trouble(self, connection: Connection) -> None:
        if connection is self._connection:
            self._in_flight.end()

    def _hang_up(self, connection: Connection | None) -> None:
        if connection is None:
            return
        if connection is self._connection:
            self._connection = None
        closing = asyncio.create_task(connection.hang_up())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _failure(self, error: Exception) -> Outcome:
        if isinstance(error, APIError) and error.err_code == _LARGER_THAN_STREAM_TAKES:
            return GivenUp(f"the stream refused the event: {_words(error)}")
        return Retry(self._explain(error))

    def _explain(self, error: Exception) -> str:
        subject, words = setting(self._name, "subject"), _words(error)
        match error:
            case NoStreamResponseError():
                return (
                    f"no stream takes {self._options.subject!r} now: there is none, or it has no leader; "
                    f"correct {subject}, or run `nats stream add RECEIVER --subjects {self._options.subject}`"
                )
            case NeverAcknowledgesError():
                return (
                    f"the stream {words!r} acknowledges nothing (no_ack), so nothing is sent to it: "
                    f"unset that, or correct {subject}"
                )
            case APIError():
                return f"the stream did not take the event: {words}"
            case _:
                return self._disconnected(error, words)

    def _disconnected(self, error: Exception, words: str) -> str:
        url, creds_file, subject = (setting(self._name, each) for each in ("url", "creds_file", "subject"))
        match error:
            case SecureConnWantedError():
                return f"NATS offers no TLS, but {url} requires it"
            case NoCertificateError():
                return f"NATS at {url} asks for a certificate: set {setting(self._name, 'cert_file')}"
            case BadCredentialsError():
                return f"{creds_file} no longer holds a user's JWT and seed"
            case _ if _DENIED.search(words):
                return f"NATS denied the user in {url} what {subject} needs: {words}"
            case _ if _REFUSED_CREDENTIALS.search(words):
                where = creds_file if self._options.creds_file else url
                return f"NATS refused the credentials in {where}: {words}"
            case _:
                return f"NATS could not be reached: {cause(error)} ({url})"

    def _no_greeting(self) -> str:
        return (
            f"NATS sent no greeting within {self._options.timeout_s:g} s: what answers at "
            f"{setting(self._name, 'url')} hangs, or speaks something else"
        )

    def _silence(self) -> str:
        return (
            f"NATS did not acknowledge within {self._options.timeout_s:g} s: a server hangs, "
            f"or no stream with a quorum takes {self._options.subject!r}"
        )


def _wire_bytes(headers: Mapping[str, str]) -> int:
    """Return how much *headers* add to the payload size that the server measures."""
    lines = ["NATS/1.0", *(f"{name}: {value}" for name, value in headers.items()), ""]
    return sum(len(f"{line}\r\n".encode()) for line in lines)


def _words(error: Exception) -> str:
    return first_words(error, (error.description or "") if isinstance(error, APIError) else str(error))
