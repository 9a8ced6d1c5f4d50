"""Kafka, as far as it can be had here: librdkafka's mock cluster, in a process of its own.

There is no broker in a wheel or a Debian package. The mock speaks the protocol over TCP and is not a broker,
so whatever runs on it says `mock_cluster` in its name. It forgets its topics when it ends.
"""

import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count

import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

_numbers = count(1)


class KafkaMockCluster(ServerProcess):
    """A mock cluster of one broker, which creates topics when they are first named."""

    def __init__(self, port: int) -> None:
        super().__init__([sys.executable, "-m", "tests.servers.kafka_mock_cluster", str(port)], port)

    @property
    def url(self) -> str:
        return f"kafka://{self.servers}"

    @property
    def servers(self) -> str:
        """Return what clients are to bootstrap from."""
        return f"127.0.0.1:{self.port}"

    def refuse_size(self) -> None:
        """Let it refuse the next request for its size."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)


@pytest.fixture(scope="session")
def kafka_mock_cluster() -> Iterator[KafkaMockCluster]:
    if find_spec("confluent_kafka") is None:
        missing("kafka", "confluent-kafka is not installed")
    server = KafkaMockCluster(free_ports(1)[0])
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def kafka_topic() -> str:
    """Return the name of a topic that does not exist yet."""
    return f"events-{next(_numbers)}"
