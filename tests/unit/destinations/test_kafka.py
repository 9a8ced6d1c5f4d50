"""Kafka, on librdkafka's mock cluster: what is produced, and what each refusal means."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from confluent_kafka import Consumer, KafkaError

from receiver.destinations import open_destination
from receiver.destinations.kafka import KafkaTopic
from receiver.destinations.kafka_producer import Producer
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import TRACEPARENT, message
from tests.servers.kafka import KafkaMockCluster
from tests.servers.require import free_ports
from tests.servers.silent import silent_url
from tests.unit.destinations.consumers import consume
from tests.unit.destinations.sending import opened, send

_STRUCTURED = b'{"specversion":"1.0","id":"1","source":"s","type":"t"}'


def _kafka(url: str, **options: str) -> KafkaTopic:
    destination = open_destination("queue", url, options)
    assert isinstance(destination, KafkaTopic)
    return destination


@pytest.fixture
def consumer(kafka_mock_cluster: KafkaMockCluster, kafka_topic: str) -> Iterator[Consumer]:
    """Return a consumer that has yet to subscribe to the topic, which is created when first written to."""
    made = Consumer(
        {
            "bootstrap.servers": kafka_mock_cluster.servers,
            "group.id": kafka_topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    yield made
    made.close()


class TestConnect:
    def test_what_is_promised_cannot_be_configured_away(self) -> None:
        """Whatever the options, the producer is idempotent and waits for all in-sync replicas."""
        config = _kafka("kafka://a,b:1?topic=x", TIMEOUT_S="5")._config
        assert (config["acks"], config["enable.idempotence"]) == ("all", True)
        assert config["bootstrap.servers"] == "a:9092,b:1"

    @pytest.mark.parametrize(
        ("url", "options", "protocol", "username"),
        [
            ("kafka://a", {}, "PLAINTEXT", None),
            ("kafka://a", {"security_protocol": "ssl"}, "SSL", None),
            ("kafka://u:p@a", {}, "SASL_SSL", "u"),
            ("kafka://u:p@a", {"username": "v"}, "SASL_SSL", "v"),
            ("kafka://a", {"username": "v", "password": "p"}, "SASL_SSL", "v"),
            ("kafka://u:p@a", {"security_protocol": "SASL_PLAINTEXT"}, "SASL_PLAINTEXT", "u"),
        ],
    )
    def test_signing_in_is_encrypted_unless_told_otherwise(
        self, url: str, options: dict[str, str], protocol: str, username: str | None
    ) -> None:
        """With a username the default is TLS, and a variable wins over the URL."""
        config = _kafka(url, **options)._config
        assert (config["security.protocol"], config.get("sasl.username")) == (protocol, username)

    def test_options_that_cannot_work_are_refused(self, subtests: pytest.Subtests) -> None:
        """A mistake is found at start, and the message names the setting and no secret."""
        for options, named in (
            ({"username": "u"}, "PASSWORD"),
            ({"password": "hunter2"}, "USERNAME"),
            ({"username": "u", "password": "hunter2", "security_protocol": "SSL"}, "SECURITY_PROTOCOL"),
            ({"security_protocol": "TLS"}, "SECURITY_PROTOCOL"),
            ({"sasl_mechanism": "GSSAPI"}, "SASL_MECHANISM"),
            ({"topic": "a b"}, "TOPIC"),
            ({"topic": ".."}, "TOPIC"),
            ({"max_message_bytes": "999"}, "MAX_MESSAGE_BYTES"),
            ({"max_message_bytes": "1000000001"}, "MAX_MESSAGE_BYTES"),
        ):
            with subtests.test(options=options):
                with pytest.raises(ConfigError, match=f"RECEIVER_DESTINATIONS__QUEUE__{named}") as refused:
                    open_destination("queue", "kafka://a", options)
                assert "hunter2" not in str(refused.value)


class TestSendOnTheMockCluster:
    async def test_what_a_record_is(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str, consumer: Consumer
    ) -> None:
        """The generation id is the key, the envelope the value; the only header says structured mode."""
        [outcome] = await send(kafka_mock_cluster.url, topic=kafka_topic)
        consumer.subscribe([kafka_topic])
        [record] = consumer.consume(1, timeout=10)
        assert outcome == Delivered(f"{record.partition()}:{record.offset()}")
        assert (record.key(), record.value()) == (b"gen_1", message(1).body)
        headers: Any = record.headers()
        assert headers == [("content-type", b"application/cloudevents+json")]
        read = from_kafka_event(KafkaMessage(dict(headers), record.key(), _STRUCTURED))
        assert (read.get_id(), read.get_type()) == ("1", "t")

    async def test_the_trace_is_a_header(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str, consumer: Consumer
    ) -> None:
        """Where events are traced, consumers' tracing finds it; it is still no binary mode."""
        async with opened(kafka_mock_cluster.url, topic=kafka_topic) as destination:
            await destination.send([message(1, traceparent=TRACEPARENT)])
        consumer.subscribe([kafka_topic])
        [record] = consumer.consume(1, timeout=10)
        headers: Any = dict(record.headers() or [])
        assert headers["traceparent"] == TRACEPARENT.encode()
        assert from_kafka_event(KafkaMessage(headers, record.key(), _STRUCTURED)).get_id() == "1"

    async def test_too_large_for_us_names_the_setting(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str
    ) -> None:
        """An event above `max_message_bytes` is given up, its neighbours are not, and raising it helps."""
        big = message(2, prompt="x" * 5000)
        async with opened(kafka_mock_cluster.url, topic=kafka_topic, max_message_bytes="5000") as destination:
            one, outcome, three = await destination.send([message(1), big, message(3)])
        assert isinstance(one, Delivered)
        assert isinstance(three, Delivered)
        assert isinstance(outcome, GivenUp)
        assert "5000 bytes (RECEIVER_DESTINATIONS__QUEUE__MAX_MESSAGE_BYTES)" in outcome.error
        async with opened(kafka_mock_cluster.url, topic=kafka_topic, max_message_bytes="9000") as destination:
            [outcome] = await destination.send([big])
            assert isinstance(outcome, Delivered)

    async def test_too_large_for_the_broker_is_told_apart(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str
    ) -> None:
        """A broker refuses all that travelled together: sent again one by one, the innocent get through."""
        async with opened(kafka_mock_cluster.url, topic=kafka_topic) as destination:
            await destination.send([message(0)])
            kafka_mock_cluster.refuse(KafkaError.MSG_SIZE_TOO_LARGE)
            outcomes = await destination.send([message(number) for number in range(1, 20)])
            kafka_mock_cluster.refuse(KafkaError.MSG_SIZE_TOO_LARGE)
            [alone] = await destination.send([message(20)])
        assert all(isinstance(each, Delivered) for each in outcomes)
        assert isinstance(alone, GivenUp)
        assert "max.message.bytes" in alone.error

    async def test_too_few_replicas_are_told_within_the_deadline(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str
    ) -> None:
        """What the library would go on trying until the delivery timed out is a Retry with its reason."""
        async with opened(kafka_mock_cluster.url, topic=kafka_topic, timeout_s="4") as destination:
            await destination.send([message(0)])
            kafka_mock_cluster.refuse(KafkaError.NOT_ENOUGH_REPLICAS, times=5)
            [outcome] = await destination.send([message(1)])
            [later] = await destination.send([message(1)])
        assert isinstance(outcome, Retry)
        assert "min.insync.replicas" in outcome.error
        assert isinstance(later, Delivered)

    async def test_a_refused_time_is_the_clock_s_fault(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str
    ) -> None:
        """A refused time costs no event, and nothing else of its batch."""
        async with opened(kafka_mock_cluster.url, topic=kafka_topic) as destination:
            await destination.send([message(0)])
            kafka_mock_cluster.refuse(KafkaError.INVALID_TIMESTAMP)
            outcomes = await destination.send([message(number) for number in range(1, 4)])
            kafka_mock_cluster.refuse(KafkaError.INVALID_TIMESTAMP)
            [alone] = await destination.send([message(4)])
        assert all(isinstance(each, Delivered) for each in outcomes)
        assert isinstance(alone, Retry)
        assert "clock" in alone.error

    async def test_a_hung_broker_is_told_within_the_deadline(self) -> None:
        """A port that takes connections and says nothing is named, which nobody could later than that."""
        with silent_url() as url:
            [outcome] = await send(url.replace("http", "kafka"), timeout_s="8")
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL hangs, or does not speak Kafka" in outcome.error

    async def test_another_protocol_on_the_port_is_told(self) -> None:
        """A server that answers in another language is named as what it is not."""

        async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(banner, "127.0.0.1", 0)
        [outcome] = await send(f"kafka://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s="5")
        server.close()
        await server.wait_closed()
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL does not speak Kafka" in outcome.error
        assert "__SECURITY_PROTOCOL" in outcome.error

    async def test_a_broker_that_hangs_up_asks_for_the_protocol(self) -> None:
        """Whoever needs a sign-in, or TLS, ends the connection: the reason names the setting."""

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        [outcome] = await send(f"kafka://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s="3")
        server.close()
        await server.wait_closed()
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__SECURITY_PROTOCOL" in outcome.error

    @pytest.mark.parametrize("error", [KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, KafkaError.PRODUCER_FENCED])
    async def test_a_producer_that_is_at_its_end_is_replaced(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str, error: int
    ) -> None:
        """What ends a producer for good is a Retry in its own words, and the next attempt gets through."""
        async with opened(kafka_mock_cluster.url, topic=kafka_topic) as destination:
            await destination.send([message(1)])
            kafka_mock_cluster.refuse(error)
            [ended] = await destination.send([message(2)])
            [again] = await destination.send([message(2)])
        assert isinstance(ended, Retry)
        assert KafkaError(error).name() in ended.error
        assert "could not be reached" not in ended.error
        assert isinstance(again, Delivered)

    async def test_brokers_that_are_down_are_a_retry_at_once(self) -> None:
        """Refused connections are not waited for, and the reason names the setting."""
        started = time.monotonic()
        [outcome] = await send(f"kafka://127.0.0.1:{free_ports(1)[0]}", timeout_s="30")
        assert time.monotonic() - started < 10
        assert isinstance(outcome, Retry)
        assert "Connection refused" in outcome.error or "_ALL_BROKERS_DOWN" in outcome.error
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    async def test_a_ca_file_that_went_bad_is_named(
        self, kafka_mock_cluster: KafkaMockCluster, tmp_path: Path
    ) -> None:
        """A file that has lost its certificates since the start is a Retry that names the setting."""
        ca_file = tmp_path / "ca.pem"
        trustme.CA().cert_pem.write_to_path(ca_file)
        async with opened(
            kafka_mock_cluster.url, security_protocol="SSL", ca_file=str(ca_file)
        ) as destination:
            ca_file.write_text("not a certificate")
            [outcome] = await destination.send([message(1)])
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__CA_FILE" in outcome.error

    async def test_a_broker_without_tls_is_a_retry(self, kafka_mock_cluster: KafkaMockCluster) -> None:
        """Nothing is sent in the clear where TLS was asked for, and the reason is the handshake's."""
        [outcome] = await send(kafka_mock_cluster.url, security_protocol="SSL")
        assert isinstance(outcome, Retry)
        assert "SSL" in outcome.error

    async def test_the_documented_consumer_handles_a_repeat_once(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str, consumer: Consumer
    ) -> None:
        """The example of the page acts on each id once."""
        await send(kafka_mock_cluster.url, 1, 2, topic=kafka_topic)
        await send(kafka_mock_cluster.url, 1, topic=kafka_topic)
        consumer.subscribe([kafka_topic])
        handled: list[dict[str, Any]] = []
        deadline = time.monotonic() + 20
        while len(handled) < 2 and time.monotonic() < deadline:
            handled += await consume("kafka.md", consumer=consumer)
        assert {event["id"] for event in handled} == {message(1).id, message(2).id}
        assert len(handled) == 2


class TestExplain:
    @pytest.mark.parametrize(
        ("code", "named"),
        [
            (KafkaError.UNKNOWN_TOPIC_OR_PART, "__TOPIC"),
            (KafkaError.TOPIC_AUTHORIZATION_FAILED, "__TOPIC"),
            (KafkaError.SASL_AUTHENTICATION_FAILED, "__PASSWORD"),
            (KafkaError.NOT_ENOUGH_REPLICAS, "NOT_ENOUGH_REPLICAS"),
        ],
    )
    def test_a_broker_s_refusal_is_a_retry(self, code: int, named: str) -> None:
        """What an operator can put right costs no event, and the error says where."""
        outcome = _kafka("kafka://a")._failure(KafkaError(code))
        assert isinstance(outcome, Retry)
        assert named in outcome.error

    def test_silence_suspects_the_protocol_until_something_got_through(self) -> None:
        """A broker that wants a sign-in hangs up, and librdkafka may say nothing of it at all."""
        destination = _kafka("kafka://a")
        before, destination._has_worked = destination._silence(), True
        assert "RECEIVER_DESTINATIONS__QUEUE__SECURITY_PROTOCOL" in before
        assert "SECURITY_PROTOCOL" not in destination._silence()

    def test_an_authority_that_is_not_trusted_is_named(self) -> None:
        """The other side does speak Kafka: it is our trust that is missing."""
        told = _kafka("kafka://a")._troubled(KafkaError(KafkaError._SSL, "certificate verify failed"), "")
        assert "RECEIVER_DESTINATIONS__QUEUE__CA_FILE" in told

    async def test_what_the_library_says_aside_is_told(self) -> None:
        """A connection that breaks again and again is an error to nobody, but the library logs it."""
        destination = _kafka("kafka://a")
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}"}, lambda _: None)
        producer.trouble, producer.heard = None, "Send failed: Broken pipe"
        told = destination._known(producer)
        producer.hang_up()
        assert "Broken pipe" in told
        assert "RECEIVER_DESTINATIONS__QUEUE__SECURITY_PROTOCOL" in told
