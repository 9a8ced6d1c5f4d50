"""What the destination contract asks of a system: to be opened, read, and broken in each way."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import pytest

from receiver.destinations import Destination, Message

WRONG_SECRET: Final = "hunter2hunter2"


class System(Protocol):
    """One real system, opened through the destination under test and read as its consumers would."""

    def connect(self, *, timeout_s: float = 10.0) -> Destination: ...
    async def received(self) -> list[bytes]:
        """Return every body that a consumer has been able to read so far."""
        ...

    async def down(self) -> None: ...
    async def up(self) -> None: ...
    async def hang(self) -> None:
        """Accept connections, and answer nothing until `resume`."""
        ...

    async def resume(self) -> None: ...

    def poison(self, number: int) -> Message | None:
        """Return a message that is refused for good among others that are taken; None if none ever is."""
        ...

    def oversize(self, number: int) -> Message | None:
        """Return a message larger than the system takes; None if there is no limit that we could reach."""
        ...

    def wrong_credentials(self) -> Destination | None:
        """Return the destination with `WRONG_SECRET`; None if there is nothing to sign in to."""
        ...


Opener = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[System]]
"""Starts a system, or takes a fixture's, for one test."""
