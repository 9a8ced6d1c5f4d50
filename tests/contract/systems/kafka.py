"""A topic on librdkafka's mock cluster, for the destination contract."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from receiver.destinations import Destination, Message, open_destination
from tests.contract.systems.served import Forgetful
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.kafka import KafkaMockCluster


class KafkaMock(Forgetful[KafkaMockCluster]):
    """A topic on a mock cluster, which forgets it when killed: what was there is consumed first."""

    def __init__(self, server: KafkaMockCluster, topic: str) -> None:
        super().__init__(server)
        self._topic = topic
        self._consumed: list[bytes] = []
        self._offsets: dict[int, int] = {}

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return self._open(timeout_s=str(timeout_s))

    async def received(self) -> list[bytes]:
        await asyncio.to_thread(self._consume)
        return self._consumed

    async def up(self) -> None:
        self._offsets.clear()
        self._server.start()

    def poison(self, number: int) -> Message | None:
        return self.oversize(number)

    def oversize(self, number: int) -> Message | None:
        """Return a message above the client's limit, the only one here: the mock takes any size."""
        return message(number, prompt="x" * 1_000_000)

    def wrong_credentials(self) -> Destination | None:
        """Return one that signs in, which the mock refuses whatever the password is."""
        return self._open(username="receiver", password=WRONG_SECRET, security_protocol="SASL_PLAINTEXT")

    def _open(self, **options: str) -> Destination:
        return open_destination("queue", self._server.url, {"topic": self._topic, **options})

    def _consume(self) -> None:
        """Read every partition up to where it ends now."""
        consumer = Consumer({"bootstrap.servers": self._server.servers, "group.id": "contract"})
        try:
            partitions = consumer.list_topics(self._topic, timeout=5).topics[self._topic].partitions
            ends = {
                each: consumer.get_watermark_offsets(TopicPartition(self._topic, each), timeout=5)[1]
                for each in partitions
            }
            unread = {each: end for each, end in ends.items() if end > self._offsets.get(each, 0)}
            consumer.assign(
                [TopicPartition(self._topic, each, self._offsets.get(each, 0)) for each in unread]
            )
            while any(self._offsets.get(each, 0) < end for each, end in unread.items()):
                for found in consumer.consume(500, timeout=0.1):
                    assert found.error() is None, found.error()
                    self._consumed.append(found.value() or b"")
                    self._offsets[found.partition() or 0] = (found.offset() or 0) + 1
        finally:
            consumer.close()


@contextlib.asynccontextmanager
async def open_kafka_mock_cluster(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: KafkaMockCluster = request.getfixturevalue("kafka_mock_cluster")
    yield KafkaMock(server, request.getfixturevalue("kafka_topic"))
    server.thaw()
