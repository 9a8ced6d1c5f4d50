"""librdkafka's producer, whose reports arrive on a thread, awaited from an event loop.

The client library has an asyncio producer of its own; it cannot send headers.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

_POLL_S: Final = 0.1
_LOG: Final = logging.getLogger("confluent_kafka")
_TELLING: Final = ("FAIL", "GETPID")
"""Log lines that give the reason of a failure, which errors often lack."""
_UNREACHABLE: Final = "_ALL_BROKERS_DOWN"
_ENDS_ALL: Final = frozenset({_UNREACHABLE, "_AUTHENTICATION"})
"""Errors after which no report is worth waiting for."""


class Producer:
    """One producer and the thread that polls it, until `hang_up`; it connects when created.

    *on_trouble* is called, on the event loop, once nothing more can be delivered.
    """

    def __init__(self, config: Mapping[str, Any], on_trouble: Callable[["Producer"], None]) -> None:
        self.trouble: KafkaError | None = None
        """The latest error of a connection."""
        self.heard = ""
        """What the library logged about it, if anything."""
        self._on_trouble = on_trouble
        self._loop = asyncio.get_running_loop()
        self._is_ended = threading.Event()
        self._client: confluent_kafka.Producer | None = confluent_kafka.Producer(
            {**config, "error_cb": self._note}, logger=_Ears(self._hear)
        )
        self._thread = threading.Thread(target=self._poll, name="kafka-reports", daemon=True)
        self._thread.start()

    async def deliver(self, topic: str, value: bytes, *, key: bytes, headers: Mapping[str, bytes]) -> str:
        """Produce one message and return `partition:offset` once it is on all in-sync replicas.

        Raises:
            KafkaException: it is not known to be there.
            BufferError: too much is waiting to be sent, or the producer has ended.
        """
        if self._client is None:
            raise BufferError("the producer has ended")
        report: asyncio.Future[str] = self._loop.create_future()
        self._client.produce(
            topic, value, key=key, headers=dict(headers), on_delivery=partial(self._reported, report)
        )
        return await report

    async def topics(self, timeout_s: float) -> frozenset[str]:
        """List the broker's topics: asking for a single one might create it.

        Raises:
            KafkaException: none answered within *timeout_s* seconds.
        """
        assert self._client is not None
        listed = await asyncio.to_thread(self._client.list_topics, timeout=timeout_s)
        return frozenset(listed.topics)

    def hang_up(self) -> None:
        """Drop messages in flight and disconnect, in the background."""
        self._is_ended.set()

    async def ended(self) -> None:
        """Wait until everything is released, shortly after `hang_up`."""
        await asyncio.to_thread(self._thread.join, 10 * _POLL_S)

    def _poll(self) -> None:
        client = self._client
        assert client is not None
        while not self._is_ended.is_set():
            try:
                client.poll(_POLL_S)
            except KafkaException as error:  # a fatal error: nothing more can be delivered by this producer
                self._note(error.args[0])
                break
        self._client = None
        with contextlib.suppress(KafkaException):
            client.purge()
            client.poll(0)
        # Dropping the last reference destroys it here, because that waits for connections to close.

    def _reported(self, report: asyncio.Future[str], error: KafkaError | None, message: Any) -> None:
        receipt = f"{message.partition()}:{message.offset()}"
        self._on_loop(partial(_settle, report, error, receipt))

    def _note(self, error: KafkaError) -> None:
        if self.trouble is None or error.name() != _UNREACHABLE:  # which says less than the previous error
            self.trouble = error
        if error.name() == _UNREACHABLE:
            # The reason is logged at the same time, and may arrive a moment later.
            self._on_loop(partial(self._loop.call_later, _POLL_S, self._on_trouble, self))
        elif error.fatal() or error.name() in _ENDS_ALL:
            self._on_loop(partial(self._on_trouble, self))

    def _hear(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line.startswith(_TELLING):
            self.heard = line.rpartition("]: ")[2]
        _LOG.debug(line)

    def _on_loop(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may already be closed
            self._loop.call_soon_threadsafe(call)


class _Ears(logging.Logger):
    """A logger that passes each record to one function, even if logging is disabled."""

    def __init__(self, hear: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(_LOG.name)
        self._hear = hear

    def isEnabledFor(self, level: int) -> bool:  # noqa: ARG002, N802  # its base class names it
        return True

    def handle(self, record: logging.LogRecord) -> None:
        self._hear(record)


def _settle(report: asyncio.Future[str], error: KafkaError | None, receipt: str) -> None:
    if report.done():
        return
    if error is None:
        report.set_result(receipt)
    else:
        report.set_exception(KafkaException(error))
