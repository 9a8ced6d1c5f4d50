"""A queue on RabbitMQ while it restarts, hangs, is short of memory or full, and closes channels.

    python -m tests.field.rabbitmq          prints its rows of docs/field.md

Needs Debian's package `rabbitmq-server`. FIELD_RABBITMQ may name a folder that another Debian's was unpacked
in, with all that it depends on (`dpkg-deb -x`), `etc/hosts`, `proc`, `dev/null`; chroot runs it, as root.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import aiormq
from aiormq.abc import AbstractChannel
from pamqp.common import FieldTable

from receiver.destinations import Destination, open_destination
from tests.field.drill import Report, ride, run, said
from tests.servers import rabbitmq
from tests.servers.rabbitmq import RabbitServer

_numbers = count(1)
_MET_S: Final = 2.0
"""So long a fault lasts, so that it is met."""
_LONGER_S: Final = 12.0
"""Longer than one attempt."""
_FULL: Final = 60


class _Field:
    """Drills on one server that all of them share."""

    def __init__(self, stack: ExitStack, root: Path) -> None:
        self._stack = stack
        self._root = root
        self._server: RabbitServer | None = None

    def start(self) -> str:
        """Start it; return what it is."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(dir=self._root / "tmp"))
        self._server = self._stack.enter_context(rabbitmq.running(Path(folder), self._root))
        return f"RabbitMQ {self._server.version}"

    async def stopped(self, report: Report) -> None:
        await self._broken(report, "stopped, and started again", self.server.stop, self._start)

    async def killed(self, report: Report) -> None:
        await self._broken(report, "killed, and started again", self.server.kill, self._start)

    async def hangs(self, report: Report) -> None:
        await self._broken(
            report, "hangs for 12 s (SIGSTOP)", self.server.freeze, self.server.thaw, _LONGER_S
        )

    async def short_of_memory(self, report: Report) -> None:
        await self._broken(
            report,
            "short of memory for 12 s: it blocks publishers",
            lambda: self._watermark("1MB"),
            lambda: self._watermark("512MB"),
            _LONGER_S,
            says="short of memory",
        )

    async def full(self, report: Report) -> None:
        """A queue that takes 60 and refuses the rest, until it is emptied."""
        queue = await self._queue({"x-max-length": _FULL, "x-overflow": "reject-publish"})
        kept: list[str] = []

        def trouble() -> None:
            time.sleep(2 * _MET_S)
            kept.extend(asyncio.run(self._held(queue)))

        told = await ride(self._open(queue), trouble, before=0)
        held = [*kept, *await self._held(queue)]
        report.row("the queue is full (`reject-publish`), then emptied", told, held, says="nack", within_s=6)

    async def without_exchange(self, report: Report) -> None:
        """The channel of a batch is closed, because its exchange is gone."""
        destination = open_destination("queue", self.server.url, {"exchange": "nowhere"})
        told = await said(destination, messages=5)
        assert len(told.texts) == 1, told.texts
        situation = "no such exchange: the channel is closed, all 5 messages of the batch say the same"
        report.row(situation, told, [], says="no such exchange", within_s=2)

    async def rights(self, report: Report) -> None:
        def allow(pattern: str) -> None:
            self.server.control("set_permissions", "guest", ".*", pattern, ".*")

        await self._broken(
            report,
            "the right to write is taken, and given back",
            lambda: allow("^$"),
            lambda: allow(".*"),
            says="permission to write",
        )

    @property
    def server(self) -> RabbitServer:
        assert self._server is not None, "started before any drill"
        return self._server

    async def _broken(
        self,
        report: Report,
        situation: str,
        begin: Callable[[], object],
        end: Callable[[], object],
        lasting_s: float = _MET_S,
        *,
        says: str = "",
    ) -> None:
        queue = await self._queue()

        took_s = 0.0

        def trouble() -> None:
            nonlocal took_s
            begin()
            time.sleep(lasting_s)
            began = time.monotonic()
            end()
            took_s = time.monotonic() - began

        told = await ride(self._open(queue), trouble, within_s=300)
        report.row(situation, told, await self._held(queue), says=says, within_s=35 + took_s)

    def _start(self) -> None:
        self.server.start(within_s=150)

    def _watermark(self, absolute: str) -> None:
        self.server.control("set_vm_memory_high_watermark", "absolute", absolute)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        async with aiormq.connect(self.server.url) as connection:
            yield await connection.channel()

    async def _queue(self, arguments: FieldTable | None = None) -> str:
        """Return a new durable queue."""
        name = f"events-{next(_numbers)}"
        async with self._channel() as channel:
            await channel.queue_declare(name, durable=True, arguments=arguments)
        self.server.control("eval", "mnesia:sync_log().")
        return name

    async def _held(self, queue: str) -> list[str]:
        """Take all messages of *queue*; return their ids."""
        found = []
        async with self._channel() as channel:
            while (one := await channel.basic_get(queue, no_ack=True)).delivery_tag:
                found.append(str(one.header.properties.message_id))
        return found

    def _open(self, queue: str) -> Destination:
        return open_destination("queue", self.server.url, {"queue": queue})


def _at(root: Path) -> int:
    with ExitStack() as stack:
        field = _Field(stack, root)
        return run(
            f"rabbitmq below {root}",
            field.start,
            field.stopped,
            field.killed,
            field.hangs,
            field.short_of_memory,
            field.full,
            field.without_exchange,
            field.rights,
        )


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    further = os.environ.get("FIELD_RABBITMQ")
    if not further:
        sys.stderr.write("SKIPPED a further rabbitmq: FIELD_RABBITMQ names none\n")
    return sum(_at(Path(root)) for root in ("/", further) if root)


if __name__ == "__main__":
    sys.exit(main())
