"""Walking a list that grows and shrinks while it is read."""

from collections.abc import Iterable
from typing import Final

from receiver.client.errors import InvalidParameter
from receiver.client.results import Generation, GenerationPage
from receiver.contract import PAGE_SIZE_MAX

OVERLAP: Final = 10
"""Rows read again on each page, so that a few removed meanwhile do not hide others."""


class Walk:
    """Which page to ask for next, and which of its rows are new.

    Ends on a page that reaches no further than the previous one. `total` is only a hint, and a provider may
    return a short page at any time.
    """

    def __init__(self, page_size: int, *, overlap: int = OVERLAP, max_pages: int | None = None) -> None:
        if not 1 <= page_size <= PAGE_SIZE_MAX:
            raise InvalidParameter("page_size", f"must be from 1 to {PAGE_SIZE_MAX}; not {page_size!r}")
        if overlap < 0:
            raise InvalidParameter("overlap", f"must be 0 or more; not {overlap!r}")
        if max_pages is not None and max_pages < 1:
            raise InvalidParameter("max_requests", f"must be 1 or more; not {max_pages!r}")
        self.limit = page_size
        self.finished = False
        self._overlap = min(overlap, page_size - 1)
        self._pages_left = max_pages
        self._reached = 0
        self._seen: set[str] = set()
        self._previous: tuple[str, ...] = ()

    @property
    def offset(self) -> int:
        """Where the next page starts."""
        return max(self._reached - self._overlap, 0)

    def skip_to(self, offset: int) -> None:
        """Continue from there."""
        self._reached = max(offset, 0)

    def take(self, page: GenerationPage) -> Iterable[Generation]:
        """Note *page*; return its new rows."""
        ids = tuple(row.id for row in page)
        fresh = [row for row in page if row.id not in self._seen]
        end = self.offset + len(ids)
        stuck = ids == self._previous and not fresh
        self.finished = stuck or (not fresh and end <= self._reached) or not ids
        if self._pages_left is not None:
            self._pages_left -= 1
            self.finished = self.finished or not self._pages_left
        self._seen.update(ids)
        self._previous, self._reached = ids, max(end, self._reached)
        return fresh
