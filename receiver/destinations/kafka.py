"""Produce events to a Kafka topic, idempotently and on all in-sync replicas.

URL: `kafka://user:password@host[:9092],host:9092`. See docs/destinations/kafka.md.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from receiver.destinations import Message
from receiver.destinations.addresses import Cluster, read_cluster
from receiver.destinations.context import CONTENT_TYPE, attributes
from receiver.destinations.in_flight import InFlight
from receiver.destinations.kafka_producer import Producer
from receiver.destinations.options import authorities, option, read_options, seconds, setting, word
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

_DEFAULT_PORT: Final = 9092
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SMALLEST_LIMIT: Final = 1000
_LARGEST_LIMIT: Final = 1_000_000_000
_BLAMES_A_MESSAGE: Final = frozenset({"MSG_SIZE_TOO_LARGE", "INVALID_RECORD"})
_NO_TOPIC: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})
_NO_RIGHT: Final = frozenset({"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"})
_REFUSED_CREDENTIALS: Final = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})


def _topic(text: str) -> str:
    if not _TOPIC.fullmatch(text) or text in (".", ".."):
        raise ValueError("a topic: 1 to 249 letters, digits, dots, underscores or hyphens")
    return text


def _one_of(*accepted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.upper() not in accepted:
            raise ValueError(f"one of: {', '.join(accepted)}")
        return text.upper()

    return read


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and _SMALLEST_LIMIT <= int(text[:12]) <= _LARGEST_LIMIT):
        raise ValueError(f"a whole number from {_SMALLEST_LIMIT} to {_LARGEST_LIMIT}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Options:
    """What may be set beside the URL, or in its query."""

    topic: str = option(_topic, "receiver.events")
    security_protocol: str | None = option(_one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), None)
    sasl_mechanism: str = option(_one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), "PLAIN")
    username: str | None = option(word, None)
    password: str | None = option(word, None, secret=True)
    ca_file: str | None = option(authorities, None)
    max_message_bytes: int = option(_limit, 1_000_000)
    timeout_s: float = option(seconds, 10.0)


def connect(name: str, url: str, options: Mapping[str, str]) -> "KafkaTopic":
    """Return the destination for a `kafka:` URL. See `receiver.destinations.Connect`."""
    try:
        cluster = read_cluster(url, default_port=_DEFAULT_PORT)
    except ValueError:
        raise ConfigError(f"{setting(name, 'url')} must look like kafka://host:9092,host:9092") from None
    settings = read_options(Options, name, options, query=cluster.query)
    return KafkaTopic(name, settings, _producer_config(name, cluster, settings))


def _producer_config(name: str, cluster: Cluster, options: Options) -> dict[str, Any]:
    return {
        "bootstrap.servers": ",".join(cluster.servers),
        "client.id": f"receiver-{name}",
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # the partition that a Java producer would choose
        "linger.ms": 0,
        "message.max.bytes": options.max_message_bytes,
        # Ours comes first, and purges what the library would still try to deliver.
        "delivery.timeout.ms": int(options.timeout_s * 1000) + 1000,
        **({"ssl.ca.location": options.ca_file} if options.ca_file else {}),
        **_sign_in(name, cluster, options),
    }


def _sign_in(name: str, cluster: Cluster, options: Options) -> dict[str, Any]:
    username, password = options.username or cluster.username, options.password or cluster.password
    protocol = options.security_protocol or ("SASL_SSL" if username else "PLAINTEXT")
    if protocol.startswith("SASL_") != bool(username):
        raise ConfigError(
            f"{setting(name, 'username')} and a SASL protocol in {setting(name, 'security_protocol')} "
            "need each other"
        )
    if bool(username) != bool(password):
        raise ConfigError(f"{setting(name, 'username')} and {setting(name, 'password')} need each other")
    if not username:
        return {"security.protocol": protocol}
    return {
        "security.protocol": protocol,
        "sasl.mechanism": options.sasl_mechanism,
        "sasl.username": username,
        "sasl.password": password,
    }


class KafkaTopic:
    """Produces to one topic, the messages of a batch side by side."""

    max_batch: Final = 200

    def __init__(self, name: str, options: Options, config: Mapping[str, Any]) -> None:
        self._name = name
        self._options = options
        self._config = config
        self._producer: Producer | None = None
        self._in_flight = InFlight()

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Produce *batch* at once, and wait until each message is reported."""
        outcomes: list[Outcome] = [Retry(self._silence())] * len(batch)
        if not batch:
            return outcomes
        try:
            producer = self._producer = self._producer or Producer(self._config, self._on_trouble)
        except KafkaException as error:
            refused = f"the Kafka client refused {setting(self._name, 'ca_file')}: {_words(error.args[0])}"
            return [Retry(refused)] * len(batch)
        try:
            async with self._in_flight.deadline(self._options.timeout_s):
                await self._produce_all(producer, batch, outcomes)
        except TimeoutError:
            self._hang_up(producer)
            if producer.trouble is not None:
                failure = self._failure(producer.trouble)
                outcomes = [failure if isinstance(each, Retry) else each for each in outcomes]
        return outcomes

    async def aclose(self) -> None:
        """Purge what is in flight and disconnect; a send in flight ends now."""
        self._in_flight.end()
        producer = self._producer
        if producer is not None:
            self._hang_up(producer)
            await producer.ended()

    async def _produce_all(
        self, producer: Producer, batch: Sequence[Message], outcomes: MutableSequence[Outcome]
    ) -> None:
        errors = await self._produce(producer, batch, range(len(batch)), outcomes)
        if len(batch) > 1 and any(error.name() in _BLAMES_A_MESSAGE for error in errors.values()):
            # A broker refuses the messages that travelled together over one of them: ask one by one.
            together, errors = errors, {}
            for index in together:
                errors |= await self._produce(producer, batch, [index], outcomes)
        for index, error in errors.items():
            outcomes[index] = self._failure(error)

    async def _produce(
        self,
        producer: Producer,
        batch: Sequence[Message],
        indexes: Iterable[int],
        outcomes: MutableSequence[Outcome],
    ) -> dict[int, KafkaError]:
        """Produce the messages at *indexes*; return what was reported of those that failed."""
        errors: dict[int, KafkaError] = {}

        async def produce(index: int) -> None:
            message = batch[index]
            try:
                receipt = await producer.deliver(
                    self._options.topic,
                    message.body,
                    key=message.generation_id.encode(),
                    headers=_headers(message),
                )
            except KafkaException as error:
                errors[index] = error.args[0]
            except BufferError as error:
                outcomes[index] = Retry(f"the Kafka client takes no more events: {error}")
            else:
                outcomes[index] = Delivered(receipt)

        await asyncio.gather(*map(produce, indexes))
        return errors

    def _on_trouble(self, producer: Producer) -> None:
        if producer is self._producer:
            self._in_flight.end()
            self._hang_up(producer)

    def _hang_up(self, producer: Producer) -> None:
        if producer is self._producer:
            self._producer = None
        producer.hang_up()

    def _failure(self, error: KafkaError) -> Outcome:
        if error.name() == "MSG_SIZE_TOO_LARGE":
            return GivenUp(
                f"the event is larger than {self._options.max_message_bytes} bytes "
                f"({setting(self._name, 'max_message_bytes')}) or the topic's max.message.bytes"
            )
        if error.name() in _BLAMES_A_MESSAGE:
            return GivenUp(f"Kafka refused the event: {error.name()}")
        return Retry(self._explain(error))

    def _explain(self, error: KafkaError) -> str:
        url, topic, code = setting(self._name, "url"), setting(self._name, "topic"), error.name()
        if code in _NO_TOPIC:
            return f"Kafka has no topic {self._options.topic!r}: create it or correct {topic}"
        if code in _NO_RIGHT:
            return f"Kafka refused the right to write to the topic in {topic}: {code}"
        if code in _REFUSED_CREDENTIALS:
            username, password = setting(self._name, "username"), setting(self._name, "password")
            return f"Kafka refused the sign-in with {username} and {password} or {url}: {_words(error)}"
        if code.startswith("_"):
            return f"Kafka could not be reached: {_words(error)} ({url})"
        return f"Kafka did not take the event: {code}"

    def _silence(self) -> str:
        return f"Kafka did not report within {self._options.timeout_s:g} s"


def _headers(message: Message) -> dict[str, bytes]:
    headers = {"content-type": CONTENT_TYPE, **attributes(message, prefix="ce_")}
    return {name: value.encode() for name, value in headers.items()}


def _words(error: KafkaError) -> str:
    return " ".join(f"{error.name()} {error.str()}".split())[:200]
