"""Produce events to a Kafka topic, idempotently and on all in-sync replicas.

URL: `kafka://user:password@host[:9092],host:9092`. See docs/destinations/kafka.md.
"""

import asyncio
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from receiver.destinations import Message
from receiver.destinations.context import CONTENT_TYPE, trace
from receiver.destinations.in_flight import InFlight
from receiver.destinations.kafka_producer import Producer
from receiver.destinations.options import (
    Cluster,
    count,
    matching,
    one_of,
    option,
    read_cluster,
    read_options,
    setting,
    word,
)
from receiver.destinations.tls import TlsOptions, check_certificate
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

_DEFAULT_PORT: Final = 9092
_HEADERS: Final = {"content-type": CONTENT_TYPE.encode()}
"""Structured mode, without a `ce_` header, which would make readers assume binary mode."""
_topic: Final = matching(
    r"(?!\.\.?$)[A-Za-z0-9._-]{1,249}", "a topic: 1 to 249 letters, digits, dots, underscores or hyphens"
)
_PROTOCOLS: Final = {each: each for each in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")}
_MECHANISMS: Final = {each: each for each in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")}
_BLAMES_A_MESSAGE: Final = frozenset({"MSG_SIZE_TOO_LARGE", "INVALID_RECORD"})
_REFUSED_TOGETHER: Final = _BLAMES_A_MESSAGE | {"_INVALID_DIFFERENT_RECORD", "INVALID_TIMESTAMP"}
_TOO_FEW_REPLICAS: Final = frozenset({"NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"})
_OTHER_PROTOCOL: Final = frozenset({"_BAD_MSG", "_SSL"})
_NO_TOPIC: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})
_NO_RIGHT: Final = frozenset({"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"})
_REFUSED_CREDENTIALS: Final = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})
_HUNG_UP: Final = ("Disconnected", "Broken pipe", "reset by peer")
_UNTRUSTED: Final = "certificate verify failed"
_NO_GREETING: Final = "ApiVersionRequest failed"
_MAX_HEARD: Final = 200
_BACKOFF_MS: Final = 500
_PROPAGATION_MS: Final = 1000
"""A topic that is missing this long does not exist."""


@dataclass(frozen=True, slots=True)
class Options(TlsOptions):
    """Options besides the URL, or in its query."""

    topic: str = option(_topic, "receiver.events")
    security_protocol: str | None = option(one_of(_PROTOCOLS), None)
    sasl_mechanism: str = option(one_of(_MECHANISMS), "PLAIN")
    username: str | None = option(word, None)
    password: str | None = option(word, None, secret=True)
    max_message_bytes: int = option(count(at_least=1000, at_most=1_000_000_000), 1_000_000)


def connect(name: str, url: str, options: Mapping[str, str]) -> "KafkaTopic":
    """Return the destination for a `kafka:` URL. See `receiver.destinations.Connect`."""
    try:
        cluster = read_cluster(url, default_port=_DEFAULT_PORT)
    except ValueError:
        raise ConfigError(f"{setting(name, 'url')} must look like kafka://host:9092,host:9092") from None
    settings = read_options(Options, name, options, query=cluster.query)
    config = _producer_config(name, cluster, settings)
    check_certificate(name, settings, encrypted=config["security.protocol"].endswith("SSL"))
    return KafkaTopic(name, settings, config)


def _producer_config(name: str, cluster: Cluster, options: Options) -> dict[str, Any]:
    # An unanswered request is reported while there is still time.
    silence_ms = max(int(options.timeout_s * 600), 10)
    return {
        "bootstrap.servers": ",".join(cluster.servers),
        "client.id": f"receiver-{name}",
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",  # the same partition as a Java producer
        "linger.ms": 0,
        "message.max.bytes": options.max_message_bytes,
        # Our deadline comes first, and purges what the library would still try to deliver.
        "delivery.timeout.ms": int(options.timeout_s * 1000) + 1000,
        # With longer values, the library hides a broker's errors until the delivery has timed out.
        "retries": max(2, min(10, int(options.timeout_s))),
        "retry.backoff.max.ms": _BACKOFF_MS,
        "topic.metadata.propagation.max.ms": min(silence_ms, _PROPAGATION_MS),
        "request.timeout.ms": min(silence_ms, 300_000),
        "socket.timeout.ms": min(silence_ms, 300_000),
        "api.version.request.timeout.ms": min(silence_ms, 300_000),
        "socket.connection.setup.timeout.ms": max(min(silence_ms, 300_000), 1000),
        **_files(options),
        **_sign_in(name, cluster, options),
    }


def _files(options: Options) -> dict[str, str]:
    files = {
        "ssl.ca.location": options.ca_file,
        "ssl.certificate.location": options.cert_file,
        "ssl.key.location": options.key_file or options.cert_file,
    }
    return {key: path for key, path in files.items() if path}


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
    """Produces to one topic, with the messages of a batch in parallel."""

    max_batch: Final = 200
    concurrency: Final = 1

    def __init__(self, name: str, options: Options, config: Mapping[str, Any]) -> None:
        self._name = name
        self._options = options
        self._config = config
        self._has_worked = False
        self._producer: Producer | None = None
        self._in_flight = InFlight()

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Produce *batch* at once, and wait until each message is reported."""
        outcomes: list[Outcome] = [Retry(self._silence())] * len(batch)
        if not batch:
            return outcomes
        try:
            producer = self._producer = self._producer or Producer(self._config, self._on_trouble)
            producer.heard = ""
        except KafkaException as error:
            return [Retry(self._refused(error))] * len(batch)
        try:
            async with self._in_flight.deadline(self._options.timeout_s):
                await self._produce_all(producer, batch, outcomes)
        except TimeoutError:
            self._hang_up(producer)
            if why := self._known(producer):
                outcomes = [Retry(why) if isinstance(each, Retry) else each for each in outcomes]
        return outcomes

    async def check(self) -> Delivered | Retry:
        """Sign in, and check that the topic exists."""
        try:
            producer = Producer(self._config, self._on_trouble)
        except KafkaException as error:
            return Retry(self._refused(error))
        try:
            topics = await producer.topics(self._options.timeout_s)
        except KafkaException as error:
            return Retry(self._known(producer) or self._explain(error.args[0]))
        finally:
            producer.hang_up()
            await producer.ended()
        if self._options.topic in topics:
            return Delivered(f"connected; there is a topic {self._options.topic!r}")
        return Delivered(f"connected; no topic {self._options.topic!r} is shown: a broker has to create it")

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
        if len(batch) > 1 and any(error.name() in _REFUSED_TOGETHER for error in errors.values()):
            # A broker refuses a whole set because of one message: send them one by one.
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
        """Produce the messages at *indexes*; return the errors of those that failed."""
        errors: dict[int, KafkaError] = {}

        async def produce(index: int) -> None:
            message = batch[index]
            try:
                receipt = await producer.deliver(
                    self._options.topic,
                    message.body,
                    key=message.generation_id.encode(),
                    headers=_HEADERS | {name: value.encode() for name, value in trace(message).items()},
                )
            except KafkaException as error:
                errors[index] = error.args[0]
            except BufferError as error:
                outcomes[index] = Retry(f"the Kafka client accepts no more events: {error}")
            else:
                self._has_worked = True
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
        topic, code = setting(self._name, "topic"), error.name()
        if code in _NO_TOPIC:
            return f"Kafka has no topic {self._options.topic!r}: create it or correct {topic}"
        if code in _NO_RIGHT:
            return f"Kafka denied permission to write to the topic in {topic}: {code}"
        if code in _TOO_FEW_REPLICAS:
            return f"too few replicas of the topic in {topic} are in sync (min.insync.replicas): {code}"
        if code == "INVALID_TIMESTAMP":
            return f"Kafka refused the time of the record: is this machine's clock right? ({code}, {topic})"
        if code.startswith("_") or code in _REFUSED_CREDENTIALS:
            return self._troubled(error, "")
        return f"Kafka did not take the event: {code}"

    def _refused(self, error: KafkaException) -> str:
        return f"the Kafka client refused {setting(self._name, 'ca_file')}: {_words(error.args[0])}"

    def _known(self, producer: Producer) -> str:
        """Say why there is no report; empty if unknown."""
        if producer.trouble is not None:
            return self._troubled(producer.trouble, producer.heard)
        return self._unreachable(producer.heard[:_MAX_HEARD]) if producer.heard else ""

    def _troubled(self, error: KafkaError, heard: str) -> str:
        """Say what is wrong with the connection; *heard* is what the library logged."""
        url, code, words = setting(self._name, "url"), error.name(), _words(error)
        if not code.startswith("_") and code not in _REFUSED_CREDENTIALS:
            return self._explain(error)
        if code in _REFUSED_CREDENTIALS:
            username, password = setting(self._name, "username"), setting(self._name, "password")
            return f"Kafka refused the sign-in with {username} and {password} or {url}: {words}"
        if _UNTRUSTED in words:
            return f"TLS with Kafka at {url} failed, is {setting(self._name, 'ca_file')} right? {words}"
        if code in _OTHER_PROTOCOL:
            protocol = setting(self._name, "security_protocol")
            return f"what answers at {url} does not speak Kafka as {protocol} says: {words}"
        return self._unreachable(heard[:_MAX_HEARD] if code == "_ALL_BROKERS_DOWN" and heard else words)

    def _unreachable(self, why: str) -> str:
        url = setting(self._name, "url")
        if _NO_GREETING in why:
            return f"what answers at {url} hangs, or does not speak Kafka: {why}"
        unreachable = f"Kafka could not be reached: {why} ({url})"
        if any(sign in why for sign in _HUNG_UP):
            cert_file = setting(self._name, "cert_file")
            asked = f" If it asks for a certificate, set {cert_file}." if self._shows_none() else ""
            return f"{unreachable}; is {setting(self._name, 'security_protocol')} right?{asked}"
        return unreachable

    def _shows_none(self) -> bool:
        return self._config["security.protocol"].endswith("SSL") and not self._options.cert_file

    def _silence(self) -> str:
        protocol = setting(self._name, "security_protocol")
        # A broker that requires a sign-in hangs up, and the library silently retries.
        suspected = "" if self._has_worked else f", or {protocol} is not what the port wants"
        return (
            f"Kafka did not report within {self._options.timeout_s:g} s: a broker hangs, "
            f"or the topic in {setting(self._name, 'topic')} has no leader{suspected}"
        )


def _words(error: KafkaError) -> str:
    return " ".join(f"{error.name()} {error.str()}".split())[:200]
