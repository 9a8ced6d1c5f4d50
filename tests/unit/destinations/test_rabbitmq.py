"""RabbitMQ: what is published, and what each refusal of the server means."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import aiormq
import orjson
import pytest
import trustme
from aiormq.abc import AbstractChannel

from receiver.destinations import open_destination
from receiver.destinations.rabbitmq import RabbitExchange
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import TRACEPARENT, TYPE, message
from tests.servers.rabbitmq import MAX_MESSAGE_BYTES, RabbitServer
from tests.servers.relay import asking, client_files, relayed
from tests.unit.destinations.consumers import consume
from tests.unit.destinations.sending import opened, send


@pytest.fixture
async def channel(rabbit_server: RabbitServer) -> AsyncIterator[AbstractChannel]:
    """Return a channel of the consumer's side."""
    async with aiormq.connect(rabbit_server.url) as connection:
        yield await connection.channel()


@pytest.fixture
async def queue(channel: AbstractChannel, rabbit_queue: str) -> str:
    """Return the name of an empty, durable queue."""
    await channel.queue_declare(rabbit_queue, durable=True)
    return rabbit_queue


@pytest.fixture
async def exchange(channel: AbstractChannel, rabbit_queue: str) -> str:
    """Return the name of an exchange to which nothing is bound."""
    name = f"{rabbit_queue}-exchange"
    await channel.exchange_declare(name, exchange_type="topic")
    return name


class TestConnect:
    def test_the_query_and_the_variables_are_the_same_options(self) -> None:
        """`?queue=` is an option too, and a variable wins over it; neither reaches the library's URL."""
        destination = open_destination("queue", "amqp://host/v?queue=a&timeout_s=5", {"QUEUE": "b"})
        assert isinstance(destination, RabbitExchange)
        assert (destination._options.queue, destination._options.timeout_s) == ("b", 5.0)
        assert str(destination._target) == "amqp://host/v"

    def test_tls_is_verified(self) -> None:
        """`amqps:` checks certificate and host name."""
        destination = open_destination("queue", "amqps://host", {})
        assert isinstance(destination, RabbitExchange)
        assert destination._tls is not None
        assert (destination._tls.verify_mode, destination._tls.check_hostname) == (ssl.CERT_REQUIRED, True)

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"queue": "a", "exchange": "b"}, "QUEUE"),
            ({"routing_key": "a"}, "ROUTING_KEY"),
            ({"queue": "a" * 256}, "QUEUE"),
            ({"heartbeat": "5"}, "HEARTBEAT"),
        ],
    )
    def test_options_that_make_no_sense_are_refused(self, options: dict[str, str], named: str) -> None:
        """What could only be ignored is refused at start, and the message names it."""
        with pytest.raises(ConfigError, match=f"RECEIVER_DESTINATIONS__QUEUE__{named}"):
            open_destination("queue", "amqp://host", options)


class TestSend:
    async def test_what_a_message_is(
        self, rabbit_server: RabbitServer, queue: str, channel: AbstractChannel
    ) -> None:
        """The envelope is the body; id and attributes stand in properties and headers; it is persistent."""
        assert await send(rabbit_server.url, queue=queue) == [Delivered()]
        got = await channel.basic_get(queue, no_ack=True)
        properties = got.header.properties
        assert got.body == message(1).body
        assert (properties.message_id, properties.delivery_mode) == (message(1).id, 2)
        assert properties.content_type == "application/cloudevents+json"
        assert properties.headers == {
            "cloudEvents:id": message(1).id,
            "cloudEvents:source": "urn:aivisualstudio:photoverse",
            "cloudEvents:type": TYPE,
            "cloudEvents:subject": "gen_1",
        }

    async def test_the_trace_is_a_header(
        self, rabbit_server: RabbitServer, queue: str, channel: AbstractChannel
    ) -> None:
        """Where events are traced, consumers' tracing finds it where it looks for it."""
        async with opened(rabbit_server.url, queue=queue) as destination:
            await destination.send([message(1, traceparent=TRACEPARENT)])
        got = await channel.basic_get(queue, no_ack=True)
        assert (got.header.properties.headers or {})["traceparent"] == TRACEPARENT

    @pytest.mark.parametrize(("options", "key"), [({}, TYPE), ({"routing_key": "done.all"}, "done.all")])
    async def test_an_exchange_routes(
        self,
        rabbit_server: RabbitServer,
        queue: str,
        exchange: str,
        channel: AbstractChannel,
        options: dict[str, str],
        key: str,
    ) -> None:
        """Under its routing key, by default the event's type, a message goes where the exchange is bound."""
        await channel.queue_bind(queue, exchange, routing_key=key)
        assert await send(rabbit_server.url, exchange=exchange, **options) == [Delivered()]
        assert (await channel.basic_get(queue, no_ack=True)).body == message(1).body

    async def test_a_missing_queue_is_named_and_loses_nothing(
        self, rabbit_server: RabbitServer, rabbit_queue: str, channel: AbstractChannel
    ) -> None:
        """Unroutable messages are a Retry that names queue and setting; once there is a queue, it works."""
        async with opened(rabbit_server.url, queue=rabbit_queue) as destination:
            outcomes = await destination.send([message(1), message(2)])
            assert all(isinstance(each, Retry) for each in outcomes)
            assert isinstance(outcomes[0], Retry)
            assert repr(rabbit_queue) in outcomes[0].error
            assert "RECEIVER_DESTINATIONS__QUEUE__QUEUE" in outcomes[0].error
            await channel.queue_declare(rabbit_queue)
            assert await destination.send([message(1)]) == [Delivered()]

    async def test_an_unbound_exchange_is_named(self, rabbit_server: RabbitServer, exchange: str) -> None:
        """An exchange that leads nowhere is a Retry that names it, the key and both settings."""
        [outcome] = await send(rabbit_server.url, exchange=exchange)
        assert isinstance(outcome, Retry)
        for told in (exchange, TYPE, "__QUEUE__EXCHANGE", "__QUEUE__ROUTING_KEY"):
            assert told in outcome.error

    async def test_a_missing_exchange_is_named(self, rabbit_server: RabbitServer) -> None:
        """An exchange that does not exist is a Retry for the whole batch, which names the setting."""
        outcomes = await send(rabbit_server.url, *range(200), exchange="nowhere")
        [outcome] = set(outcomes)
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__EXCHANGE" in outcome.error

    async def test_a_full_queue_is_a_retry(
        self, rabbit_server: RabbitServer, rabbit_queue: str, channel: AbstractChannel
    ) -> None:
        """What a full queue refuses (nack) is tried again; what it took is delivered."""
        full: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
        await channel.queue_declare(rabbit_queue, arguments=full)
        async with opened(rabbit_server.url, queue=rabbit_queue) as destination:
            assert await destination.send([message(1)]) == [Delivered()]
            [outcome] = await destination.send([message(2)])
            assert isinstance(outcome, Retry)
            assert "nack" in outcome.error
            await channel.basic_get(rabbit_queue, no_ack=True)
            assert await destination.send([message(2)]) == [Delivered()]

    async def test_an_oversize_message_is_told_apart(self, rabbit_server: RabbitServer, queue: str) -> None:
        """The server closes the channel over it and names no message; the reason we give names both sizes."""
        big = message(2, prompt="x" * MAX_MESSAGE_BYTES)
        async with opened(rabbit_server.url, queue=queue) as destination:
            one, outcome, three = await destination.send([message(1), big, message(3)])
        assert (one, three) == (Delivered(), Delivered())
        assert isinstance(outcome, GivenUp)
        assert str(MAX_MESSAGE_BYTES) in outcome.error
        assert str(len(big.body)) in outcome.error

    async def test_many_messages_behind_an_oversize_one_get_through(
        self, rabbit_server: RabbitServer, queue: str
    ) -> None:
        """What is on its way when the server closes the channel may cost the connection, but no message."""
        big = message(0, prompt="x" * MAX_MESSAGE_BYTES)
        async with opened(rabbit_server.url, queue=queue) as destination:
            for _ in range(2):
                refused, *others = await destination.send(
                    [big, *(message(number) for number in range(1, 200))]
                )
                assert isinstance(refused, GivenUp)
                assert others == [Delivered()] * 199

    async def test_another_batch_is_not_blamed(self, rabbit_server: RabbitServer, queue: str) -> None:
        """A message that closes its channel does no harm to a batch sent at the same time."""
        big = message(0, prompt="x" * MAX_MESSAGE_BYTES)
        async with opened(rabbit_server.url, queue=queue) as destination:
            await destination.send([message(1)])
            refused, *others = await asyncio.gather(
                destination.send([big]), *(destination.send([message(number)]) for number in range(1, 6))
            )
        assert isinstance(refused[0], GivenUp)
        assert all(each == [Delivered()] for each in others)

    async def test_batches_share_one_connection(self, rabbit_server: RabbitServer, queue: str) -> None:
        """Several sends at once dial once."""
        async with opened(rabbit_server.url, queue=queue) as destination:
            await asyncio.gather(*(destination.send([message(number)]) for number in range(5)))
            listed = await asyncio.to_thread(rabbit_server.control, "list_connections", "client_properties")
        assert listed.count("receiver queue") == 1

    async def test_a_connection_without_heartbeat_is_a_retry(
        self, rabbit_server: RabbitServer, queue: str
    ) -> None:
        """The library ends a stuck connection by cancelling who waits: that is no cancellation of ours."""
        async with opened(rabbit_server.url, queue=queue, timeout_s="30") as destination:
            assert isinstance(destination, RabbitExchange)
            await destination.send([message(1)])
            rabbit_server.freeze()
            try:
                sending = asyncio.ensure_future(destination.send([message(1), message(2)]))
                _, pending = await asyncio.wait({sending}, timeout=0.2)
                assert pending, "the batch is on its way"
                assert destination._connection is not None
                destination._connection._amqp._reader_task.cancel()  # as its heartbeat does
                outcomes = await asyncio.wait_for(sending, 10)
            finally:
                rabbit_server.thaw()
            assert all(isinstance(each, Retry) for each in outcomes)
            assert await destination.send([message(2)]) == [Delivered()]

    async def test_a_virtual_host_that_does_not_exist(self, rabbit_server: RabbitServer) -> None:
        """The refusal is a Retry that names the setting."""
        [outcome] = await send(f"{rabbit_server.url}/nowhere")
        assert isinstance(outcome, Retry)
        assert "the virtual host in RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    async def test_a_limit_of_connections(self, rabbit_server: RabbitServer) -> None:
        """A virtual host without room for another connection is told of, though not in the server's words."""
        for command in (
            ("add_vhost", "narrow"),
            ("set_permissions", "-p", "narrow", "guest", "", ".*", ""),
            ("set_vhost_limits", "-p", "narrow", '{"max-connections": 0}'),
        ):
            await asyncio.to_thread(rabbit_server.control, *command)
        [outcome] = await send(f"{rabbit_server.url}/narrow")
        assert isinstance(outcome, Retry)
        assert "a limit of connections is reached" in outcome.error

    async def test_a_user_needs_the_one_documented_right(
        self, rabbit_server: RabbitServer, queue: str
    ) -> None:
        """Without the right to write to the exchange it is a Retry that names it; no other is needed."""
        url = rabbit_server.url_of("someone", "hunter2")
        await asyncio.to_thread(rabbit_server.control, "add_user", "someone", "hunter2")
        await asyncio.to_thread(rabbit_server.control, "set_permissions", "someone", "^$", "^$", ".*")
        [outcome] = await send(url, queue=queue)
        await asyncio.to_thread(
            rabbit_server.control, "set_permissions", "someone", "^$", r"^amq\.default$", "^$"
        )
        assert await send(url, queue=queue) == [Delivered()]
        assert isinstance(outcome, Retry)
        assert "amq.default" in outcome.error
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error
        assert "hunter2" not in outcome.error

    async def test_a_server_short_of_memory_is_a_retry_in_time(
        self, rabbit_server: RabbitServer, queue: str
    ) -> None:
        """Publishers are blocked while the alarm lasts: a batch ends at its timeout, and works afterwards."""
        control = rabbit_server.control
        await asyncio.to_thread(control, "set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            started = time.monotonic()
            [outcome] = await send(rabbit_server.url, queue=queue, timeout_s="0.5")
            elapsed = time.monotonic() - started
        finally:
            await asyncio.to_thread(control, "set_vm_memory_high_watermark", "absolute", "512MB")
        assert isinstance(outcome, Retry)
        assert "memory" in outcome.error
        assert elapsed < 15
        assert await send(rabbit_server.url, queue=queue) == [Delivered()]

    async def test_the_documented_consumer_handles_a_repeat_once(
        self, rabbit_server: RabbitServer, queue: str
    ) -> None:
        """The example of the page acts on each id once, and acknowledges the repetition too."""
        await send(rabbit_server.url, 1, 2, queue=queue)
        await send(rabbit_server.url, 1, queue=queue)
        async with await aio_pika.connect(rabbit_server.url) as connection:
            channel = await connection.channel()
            declared = await channel.get_queue(queue)
            async with declared.iterator(timeout=0.5) as messages:
                handled = await consume("rabbitmq.md", queue=messages)
            left = (await channel.declare_queue(queue, passive=True)).declaration_result.message_count
        assert [event["id"] for event in handled] == [message(1).id, message(2).id]
        assert left == 0
        assert handled[0] == orjson.loads(message(1).body)


class TestTls:
    async def test_why_it_failed_and_who_we_are(
        self, rabbit_server: RabbitServer, queue: str, tmp_path: Path
    ) -> None:
        """A server that wants a certificate gets ours; whatever does not fit is told in words."""
        ca = trustme.CA()
        files = client_files(ca, tmp_path)
        async with relayed(rabbit_server.port, tls=asking(ca)) as relay:
            url = f"amqps://guest:guest@127.0.0.1:{relay.port}"
            assert await send(url, queue=queue, **files) == [Delivered()]
            [stranger] = await send(url, queue=queue)
            [anonymous] = await send(url, queue=queue, ca_file=files["ca_file"])
            [plain] = await send(url.replace("amqps", "amqp"), queue=queue)
        assert isinstance(stranger, Retry)
        assert isinstance(anonymous, Retry)
        assert isinstance(plain, Retry)
        assert "SSLCertVerificationError: " in stranger.error
        assert "__CERT_FILE" in anonymous.error or "certificate required" in anonymous.error
        assert "begin RECEIVER_DESTINATIONS__QUEUE__URL with amqps:" in plain.error

    async def test_a_server_that_was_there_is_not_suspected(self, rabbit_server: RabbitServer) -> None:
        """Once something got through, a connection that ends says nothing of the URL."""
        async with opened(rabbit_server.url) as destination:
            assert isinstance(destination, RabbitExchange)
            before = destination._hint(ConnectionResetError())
            destination._has_worked = True
            after = destination._hint(ConnectionResetError())
        assert "amqps:" in before
        assert not after
