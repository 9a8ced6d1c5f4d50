"""Leases of calls that ended without an answer: they may hold work that nobody is doing."""

import asyncio
from collections.abc import Iterable

from sqlalchemy.exc import DBAPIError

from receiver.errors import StoreUnavailable


class Doubts:
    """Leases that may be in the database although no worker got the work."""

    def __init__(self) -> None:
        self._leases: set[str] = set()
        self._any = asyncio.Event()

    def note(self, error: StoreUnavailable, leases: Iterable[str]) -> None:
        """Remember *leases* if the call that failed with *error* may have been carried out anyway."""
        if _may_be_done(error):
            self._leases.update(leases)
            self._any.set()

    async def some(self) -> set[str]:
        """Wait until there are any, and return them."""
        await self._any.wait()
        return set(self._leases)

    def settle(self, leases: set[str]) -> None:
        """Forget *leases*."""
        self._leases -= leases
        if not self._leases:
            self._any.clear()


def _may_be_done(error: BaseException | None) -> bool:
    """Whether it may have run: the connection was lost or no answer came in time, but nothing was refused."""
    while error is not None:
        if isinstance(error, DBAPIError):
            return error.connection_invalidated
        error = error.__cause__
    return True
