"""Leases of calls that ended without an answer: work may be held under them, and nobody would do it."""

import asyncio
from collections.abc import Iterable

from sqlalchemy.exc import DBAPIError

from receiver.errors import StoreUnavailable


class Doubts:
    """The leases that may be in the database although nobody got the work."""

    def __init__(self) -> None:
        self._leases: set[str] = set()
        self._any = asyncio.Event()

    def note(self, error: StoreUnavailable, leases: Iterable[str]) -> None:
        """Note *leases* if the call that failed with *error* may have been carried out all the same."""
        if _may_be_done(error):
            self._leases.update(leases)
            self._any.set()

    async def some(self) -> set[str]:
        """Return those there are, as soon as there are any."""
        await self._any.wait()
        return set(self._leases)

    def settle(self, leases: set[str]) -> None:
        """Forget *leases*."""
        self._leases -= leases
        if not self._leases:
            self._any.clear()


def _may_be_done(error: BaseException | None) -> bool:
    """Whether no statement was refused: the connection was lost, or there was no answer in time."""
    while error is not None:
        if isinstance(error, DBAPIError):
            return error.connection_invalidated
        error = error.__cause__
    return True
