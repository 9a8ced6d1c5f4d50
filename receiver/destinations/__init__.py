"""Downstream queues: their protocol, and the module for each URL scheme.

A destination is configured by its name: `RECEIVER_DESTINATIONS__<NAME>__URL` and one variable per option.
Every destination has the option `timeout_s` (seconds, default 10): no message stays undecided longer.

CONTRIBUTING.md says how to add a system.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol

from receiver.destinations.options import setting
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, Outcome, Retry


@dataclass(frozen=True, slots=True)
class Message:
    """One event, ready for any broker."""

    id: str
    """The event id (UUIDv7): the same on every attempt, so the key consumers dedupe on."""
    source: str
    generation_id: str
    type: str
    """CloudEvents type, `co.aivisualstudio.generation.completed`."""
    kind: str
    """`image`, `video` or `unknown`."""
    body: bytes
    """The whole CloudEvents envelope, structured JSON, UTF-8, one line."""
    traceparent: str | None = None
    """W3C Trace Context, as in the envelope, where events are traced."""


class Destination(Protocol):
    """A downstream queue that confirms messages."""

    @property
    def max_batch(self) -> int:
        """The most messages one `send` takes."""
        ...

    @property
    def concurrency(self) -> int:
        """How many calls of `send` may run at once, unless the operator sets more."""
        ...

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Deliver *batch* and return the outcome of each message, in the same order.

        Never raises because of the other side: a dead server is a `Retry` for every message.
        A message counts as `Delivered` only once the other side has confirmed it.
        """
        ...

    async def check(self) -> Delivered | Retry:
        """Connect and sign in like `send`, and send nothing; the receipt says what was seen."""
        ...

    async def aclose(self) -> None:
        """Close connections. Called once, after the last `send` returned."""
        ...


class Connect(Protocol):
    """The function `connect` of each destination module."""

    def __call__(self, name: str, url: str, options: Mapping[str, str]) -> Destination:
        """Parse *url* and *options*; return a destination that connects on its first `send`.

        Raises:
            ConfigError: the URL or an option is not usable; the message names the setting.
        """
        ...


@dataclass(frozen=True, slots=True)
class BackEnd:
    """The module behind a URL scheme."""

    module: str
    extra: str | None = None
    """The extra that installs the module's client library, or None if it is always installed."""


_POSTGRES: Final = BackEnd("receiver.destinations.postgresql", extra="postgres")
_HTTP: Final = BackEnd("receiver.destinations.http")
_KAFKA: Final = BackEnd("receiver.destinations.kafka", extra="kafka")
_NATS: Final = BackEnd("receiver.destinations.nats", extra="nats")
_RABBITMQ: Final = BackEnd("receiver.destinations.rabbitmq", extra="rabbitmq")
_REDIS: Final = BackEnd("receiver.destinations.redis", extra="redis")
_SQS: Final = BackEnd("receiver.destinations.sqs")

SCHEMES: Final[Mapping[str, BackEnd]] = {
    "file": BackEnd("receiver.destinations.jsonlines"),
    "stdout": BackEnd("receiver.destinations.stdout"),
    "pull": BackEnd("receiver.destinations.pull"),
    "http": _HTTP,
    "https": _HTTP,
    "amqp": _RABBITMQ,
    "amqps": _RABBITMQ,
    "kafka": _KAFKA,
    "nats": _NATS,
    "nats+tls": _NATS,
    "redis": _REDIS,
    "rediss": _REDIS,
    "redis+sentinel": _REDIS,
    "rediss+sentinel": _REDIS,
    "redis+cluster": _REDIS,
    "rediss+cluster": _REDIS,
    "sqs": _SQS,
    "sqs+http": _SQS,
    "sqs+https": _SQS,
    "sns": BackEnd("receiver.destinations.sns"),
    "eventbridge": BackEnd("receiver.destinations.eventbridge"),
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
}


_SYSTEMS: Final = {"sqs": "aws_sqs", "sns": "aws.sns"}


def open_destination(name: str, url: str, options: Mapping[str, str]) -> Destination:
    """Return the destination called *name* at *url*; it connects on its first `send`.

    *options* are the destination's own, without those of every destination, such as filters.

    Raises:
        ConfigError: unknown scheme, unusable URL or option, or a client library that is not installed.
    """
    scheme, _, rest = url.strip().partition(":")
    connect: Connect = _module(name, scheme).connect
    return connect(name, f"{scheme.lower()}:{rest}", options)


def system(url: str) -> str:
    """Return OpenTelemetry's name for the system at *url*, which belongs to an open destination.

    Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/messaging/
    """
    name = SCHEMES[url.strip().partition(":")[0].lower()].module.rpartition(".")[2]
    return _SYSTEMS.get(name, name)


def own_options(name: str, url: str) -> frozenset[str]:
    """Return the options that the destination called *name* at *url* reads itself.

    Raises:
        ConfigError: unknown scheme, or a client library that is not installed.
    """
    module = _module(name, url.strip().partition(":")[0])
    return frozenset(field.name for field in fields(module.Options))


def _module(name: str, scheme: str) -> ModuleType:
    back_end = SCHEMES.get(scheme.lower())
    if back_end is None:
        accepted = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        raise ConfigError(f"{setting(name, 'url')} must begin with one of: {accepted}")
    try:
        return import_module(back_end.module)
    except ModuleNotFoundError as error:
        if back_end.extra is None:
            raise
        raise ConfigError(
            f"{setting(name, 'url')} needs the Python package {error.name!r}: "
            f"pip install 'avs-receiver[{back_end.extra}]'"
        ) from error
