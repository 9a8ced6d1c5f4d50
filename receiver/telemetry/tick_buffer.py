"""One write for all that is logged in one turn of the event loop.

A write of its own for every line would let go of the interpreter each time, in the busiest path there is.
"""

import asyncio
import atexit
import threading
from typing import TextIO


class TickBuffer:
    """A text stream that passes on what was written when the running event loop next turns.

    Outside an event loop every write is passed on at once. A process killed within a turn loses that
    turn's lines, never an event: those are on disk before they are logged.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._promised_by: asyncio.AbstractEventLoop | None = None
        atexit.register(self.pass_on)

    def write(self, text: str) -> None:
        """Keep *text* until the loop turns."""
        with self._lock:
            self._lines.append(text)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.pass_on()
            return
        if self._promised_by is not loop:
            self._promised_by = loop
            loop.call_soon(self.pass_on)

    def flush(self) -> None:
        """Do nothing: the loop's turn is the flush."""

    def pass_on(self) -> None:
        """Write out what was kept."""
        with self._lock:
            self._promised_by = None
            kept, self._lines = self._lines, []
            if kept and not self._stream.closed:
                self._stream.write("".join(kept))
                self._stream.flush()
