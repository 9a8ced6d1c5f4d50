"""What the destination contract asks of a system: to be opened, read, and broken in each way."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from receiver.destinations import Destination


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


Opener = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[System]]
"""Starts a system, or takes a fixture's, for one test."""
