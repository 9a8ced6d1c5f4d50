"""Print events on standard output, one JSON object per line: for pipes, containers and trying things out.

If the reader stops in the middle of a line, the event is printed again, complete, on its own line.
See docs/destinations/file.md.
"""

import asyncio
import errno
import os
import select
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from receiver.destinations import Message
from receiver.destinations.options import SendingOptions, read_options, setting
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, Outcome, Retry

_STDOUT_FD: Final = 1
_CHUNK: Final = select.PIPE_BUF  # a pipe that polls as writable accepts this much without blocking


Options = SendingOptions


def connect(name: str, url: str, options: Mapping[str, str]) -> "Stdout":
    """Return the destination for `stdout:`. See `receiver.destinations.Connect`."""
    if url.partition(":")[2].strip("/"):
        raise ConfigError(f"{setting(name, 'url')} must be stdout: and nothing else")
    return Stdout(read_options(Options, name, options))


class Stdout:
    """Prints lines; gives up if the reader stops reading."""

    max_batch: Final = 100
    concurrency: Final = 1

    def __init__(self, options: Options, *, fd: int = _STDOUT_FD) -> None:
        self._options = options
        self._fd = fd
        self._torn = False
        self._one_at_a_time = threading.Lock()

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Print *batch*, a line at a time."""
        return await asyncio.to_thread(self._print, batch)

    async def check(self) -> Delivered | Retry:
        """Report success: a reader may appear later."""
        return Delivered("standard output")

    async def aclose(self) -> None:
        """Do nothing: standard output must stay open."""

    def _print(self, batch: Sequence[Message]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with self._one_at_a_time:
            deadline = time.monotonic() + self._options.timeout_s
            try:
                for message in batch:
                    rest = memoryview((b"\n" if self._torn else b"") + message.body + b"\n")
                    while rest:
                        poll = select.poll()
                        poll.register(self._fd, select.POLLOUT)
                        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                            raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")
                        rest = rest[os.write(self._fd, rest[:_CHUNK]) :]
                        self._torn = bool(rest)
                    outcomes.append(Delivered())
            except OSError as error:
                failure = Retry(f"cannot print on standard output: {error.strerror}")
                outcomes += [failure] * (len(batch) - len(outcomes))
        return outcomes
