"""Run librdkafka's mock cluster: `python -m tests.servers.kafka_mock_cluster PORT ASKED TOLD`.

The mock is one broker: real TCP and the real protocol, without a disk and without most of a broker's rules.
It listens where it likes, so a relay in the same process stands at PORT, the only address that clients are
told. Killing or freezing the process does the same to both.

SIGUSR1 lets requests to produce fail, of which the mock finds no reason for itself: the file ASKED holds the
error's code and how many. A byte more in the file TOLD says that they will.
"""

import asyncio
import ctypes
import signal
import sys
from pathlib import Path
from typing import Final

import confluent_kafka  # also loads what librdkafka needs

_PRODUCER: Final = 0
_PRODUCE: Final = 0


class _Mock:
    """One broker that tells clients to come to *port*."""

    def __init__(self, port: int, asked: Path, told: Path) -> None:
        self._asked = asked
        self._told = told
        self._library = _library()
        self._client = self._library.rd_kafka_new(_PRODUCER, None, None, 0)
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.own_port = int(address.rpartition(b":")[2])
        self._library.rd_kafka_mock_broker_set_host_port(self._cluster, 1, b"127.0.0.1", port)
        # A group's first member would wait three seconds for others.
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def refuse(self) -> None:
        error, times = map(int, self._asked.read_text().split())
        self._library.rd_kafka_mock_push_request_errors(
            self._cluster, _PRODUCE, ctypes.c_size_t(times), *[error] * times
        )
        with self._told.open("ab") as file:
            file.write(b".")


def _library() -> ctypes.CDLL:
    wheel = Path(confluent_kafka.__file__).parent
    library = ctypes.CDLL(str(next(wheel.with_name("confluent_kafka.libs").glob("librdkafka-*"))))
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_broker_set_host_port.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_char_p,
        ctypes.c_int,
    ]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_push_request_errors.argtypes = [ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t]
    return library


async def _serve(port: int, asked: Path, told: Path) -> None:
    mock = _Mock(port, asked, told)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, mock.refuse)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", mock.own_port)
        await asyncio.gather(_pass(reader, their_writer), _pass(their_reader, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", port) as server:
        await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
