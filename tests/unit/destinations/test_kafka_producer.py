"""librdkafka's producer, awaited; on its mock cluster."""

import asyncio
import threading

import pytest
from confluent_kafka import KafkaError

from receiver.destinations.kafka_producer import Producer
from tests.servers.kafka import KafkaMockCluster
from tests.servers.require import free_ports


def _producer(servers: str, troubled: list[Producer]) -> Producer:
    return Producer({"bootstrap.servers": servers}, troubled.append)


class TestDeliverOnTheMockCluster:
    async def test_the_report_is_the_receipt(
        self, kafka_mock_cluster: KafkaMockCluster, kafka_topic: str
    ) -> None:
        """Partition and offset are told, of the same partition for the same key."""
        producer = _producer(kafka_mock_cluster.servers, [])
        receipts = [
            await producer.deliver(kafka_topic, b"x", key=b"gen_1", headers={"a": b"b"}) for _ in range(3)
        ]
        producer.hang_up()
        await producer.ended()
        partition = receipts[0].partition(":")[0]
        assert receipts == [f"{partition}:{offset}" for offset in range(3)]


class TestHangUp:
    async def test_its_thread_ends_and_nothing_is_taken(self) -> None:
        """Afterwards no thread polls, and a message that comes too late is refused."""
        producer = _producer(f"127.0.0.1:{free_ports(1)[0]}", [])
        producer.hang_up()
        await producer.ended()
        assert producer._thread not in threading.enumerate()
        with pytest.raises(BufferError):
            await producer.deliver("t", b"x", key=b"k", headers={})


class TestTrouble:
    async def test_it_is_told_once_nothing_can_be_delivered(self) -> None:
        """All brokers down is told on the event loop, with the error that says most."""
        told = asyncio.Event()
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}"}, lambda _: told.set())
        await asyncio.wait_for(told.wait(), 10)
        assert producer.trouble is not None
        producer._note(KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED))
        producer._note(KafkaError(-187))  # _ALL_BROKERS_DOWN
        assert producer.trouble.name() == "SASL_AUTHENTICATION_FAILED"
        producer.hang_up()
        await producer.ended()
