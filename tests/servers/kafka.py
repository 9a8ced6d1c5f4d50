"""Kafka, as far as it can be had here: librdkafka's mock cluster, in a process of its own.

There is no broker in a wheel or a Debian package. The mock speaks the protocol over TCP and is not a broker,
so whatever runs on it says `mock_cluster` in its name. It forgets its topics when it ends.
"""

import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing
from tests.waiting.blocking import until

_numbers = count(1)


class KafkaMockCluster(ServerProcess):
    """A mock cluster of one broker, which creates topics when they are first named."""

    def __init__(self, port: int, folder: Path) -> None:
        self._asked, self._told = folder / "asked", folder / "told"
        self._told.touch()
        program = ["-m", "tests.servers.kafka_mock_cluster", str(port), str(self._asked), str(self._told)]
        super().__init__([sys.executable, *program], port)

    @property
    def url(self) -> str:
        return f"kafka://{self.servers}"

    @property
    def servers(self) -> str:
        """Return what clients are to bootstrap from."""
        return f"127.0.0.1:{self.port}"

    def refuse(self, error: int, *, times: int = 1) -> None:
        """Let it answer the next requests to produce with *error*, a code of the protocol, from now on."""
        assert self._process is not None
        self._asked.write_text(f"{error} {times}")
        before = self._told.stat().st_size
        self._process.send_signal(signal.SIGUSR1)
        until(lambda: self._told.stat().st_size != before)


@pytest.fixture(scope="session")
def kafka_mock_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaMockCluster]:
    if find_spec("confluent_kafka") is None:
        missing("kafka", "confluent-kafka is not installed")
    server = KafkaMockCluster(free_ports(1)[0], tmp_path_factory.mktemp("kafka"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def kafka_topic() -> str:
    """Return the name of a topic that does not exist yet."""
    return f"events-{next(_numbers)}"
