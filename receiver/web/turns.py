"""The answers that one connection owes, in the order of its requests."""

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from receiver.web.answers import Answer


class Turn:
    """The place of one request in that order."""

    __slots__ = ("answer", "closes", "task", "with_body")

    def __init__(self, *, closes: bool, with_body: bool) -> None:
        self.answer: Answer | None = None
        self.closes = closes
        self.with_body = with_body
        self.task: asyncio.Task[None] | None = None
        """Kept, because the event loop does not keep it."""


class Turns(deque[Turn]):
    """The turns that are not over yet, oldest first."""

    def take_ready(self, *, ends: bool) -> tuple[bytes, bool]:
        """Take the answers that may be sent now, and whether the connection ends with them.

        With *ends* it does once nothing more is owed.
        """
        ready = []
        is_last = False
        while self and not is_last:
            turn = self[0]
            if turn.answer is None:
                break
            self.popleft()
            is_last = turn.closes or turn.answer.closes or (ends and not self)
            ready.append(turn.answer.encode(int(time.time()), closes=is_last, with_body=turn.with_body))
        return b"".join(ready), is_last
