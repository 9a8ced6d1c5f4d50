"""Sweeps the provider's list: which page to request next, and when everything since the floor was seen.

The provider's document does not say how the list is ordered, so the order is detected. Newest first ends at
the floor. Oldest first is read backwards from its end. Anything else is read completely. Stopping at the
first known generation would be cheaper, but would lose every older one that was unfinished then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from receiver.client import Generation, GenerationPage

PAGE_SIZE: Final = 100
OVERLAP: Final = 10
"""Rows read again on each page, so that rows which left the list meanwhile do not hide others."""

_MOST_REPEATS: Final = 2
"""A page appears twice if as many rows arrived as it has. More often means the offset is ignored."""

Order = Literal["unknown", "newest_first", "oldest_first", "mixed"]


@dataclass(slots=True)
class Sweep:
    """One way through the list, which may take several passes. All of it can be saved, except what was seen.

    It ends on what was read, never on `total`, which only hints at where the list ends.
    """

    floor_ms: int
    """The earliest creation time requested, in milliseconds since the epoch."""
    started_ms: int
    length: int = 0
    """The length of the list when its end was last seen."""
    order: Order = "unknown"
    offset: int = 0
    """Where the next page starts."""
    start: int = 0
    end: int = 0
    """The rows from `start` up to `end` have been read."""
    widest: int = 0
    """The size of the longest page: the provider may return fewer rows than requested."""
    backwards: bool = False
    finished: bool = False
    newest_ms: int | None = None
    oldest_ms: int | None = None
    waiting: dict[str, int | None] = field(default_factory=dict)
    """The unfinished generations found, with their creation times."""
    _seen: set[str] = field(default_factory=set, init=False)
    _previous: tuple[str, ...] = field(default=(), init=False)
    _repeats: int = field(default=0, init=False)

    def take(self, page: GenerationPage) -> list[Generation]:
        """Process *page*, which starts at `offset`; return its rows that were not seen before."""
        fresh = list({row.id: row for row in page if row.id not in self._seen}.values())
        self._note(page, fresh)
        self._compare(page)
        if self._contradicts(order_of(page)):
            self._read_whole()
        elif self.backwards:
            self._went_down(page)
        else:
            self._went_up(page)
        return fresh

    @property
    def low_water_ms(self) -> int | None:
        """Everything before this was seen; None if nothing showed a time."""
        return None if self.newest_ms is None else min(self.newest_ms, self.started_ms)

    def state(self) -> dict[str, Any]:
        """Return what another process needs to continue."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    def _note(self, page: GenerationPage, fresh: Sequence[Generation]) -> None:
        self.widest = max(self.widest, len(page))
        self._seen.update(row.id for row in fresh)
        self.waiting |= {row.id: created_ms(row) for row in fresh if not row.finished}
        times = _times(page)
        if times:
            self.newest_ms = max([*times, self.newest_ms or 0])
            self.oldest_ms = min([*times, *([] if self.oldest_ms is None else [self.oldest_ms])])

    def _compare(self, page: GenerationPage) -> None:
        """Count how often the same page came again, at whatever offset."""
        ids = tuple(row.id for row in page)
        self._repeats = self._repeats + 1 if ids == self._previous else 0
        self._previous = ids

    def _contradicts(self, found: Order) -> bool:
        """Record the order *found* on a page; return whether pages were skipped due to a different order."""
        if found in ("unknown", self.order):
            return False
        before, self.order = self.order, found if self.order == "unknown" else "mixed"
        return before == "oldest_first" and self.start > 0

    def _read_whole(self) -> None:
        self.order, self.backwards = "mixed", False
        self._jump(0)

    def _went_up(self, page: GenerationPage) -> None:
        reach = self.offset + len(page)
        if not page.data and self._jumped_too_far:
            self._jump(self.offset // 2)
        elif self.order == "newest_first" and self._below_floor:
            self.finished = True
        elif reach <= self.end or self._repeats >= _MOST_REPEATS:
            self.length = self.end
            self._turn_back()
        else:
            self.end = reach
            self.offset = reach - _overlap(len(page))
            hint = max(page.total or 0, self.length)
            all_old = self.newest_ms is not None and self.newest_ms < self.floor_ms
            if self.order == "oldest_first" and self.start == 0 and all_old and hint > reach:
                self._jump(max(hint - len(page), reach - _overlap(len(page))))

    def _went_down(self, page: GenerationPage) -> None:
        if self.offset + len(page) < self.start:
            # A page shorter than requested leaves a gap, so read the list in one piece.
            self._read_whole()
            return
        self.start = self.offset
        self._turn_back()

    def _turn_back(self) -> None:
        """Continue below what was read, unless that is old enough."""
        self.finished = self.start == 0 or self._below_floor
        self.backwards = not self.finished
        self.offset = max(self.start - max(self.widest - _overlap(self.widest), 1), 0)

    def _jump(self, offset: int) -> None:
        self.offset = self.start = self.end = offset
        self.oldest_ms = None

    @property
    def _jumped_too_far(self) -> bool:
        return self.start == self.end > 0

    @property
    def _below_floor(self) -> bool:
        return self.oldest_ms is not None and self.oldest_ms < self.floor_ms


def order_of(page: GenerationPage) -> Order:
    """Return how the rows of one page are ordered by creation time."""
    times = _times(page)
    if len(times) < len(page):
        return "mixed"
    if len(set(times)) < 2:  # noqa: PLR2004  # nothing to compare
        return "unknown"
    if times == sorted(times):
        return "oldest_first"
    return "newest_first" if times == sorted(times, reverse=True) else "mixed"


def created_ms(row: Generation) -> int | None:
    """Return when *row* was created, in milliseconds since the epoch, if it says so."""
    return None if row.created_at is None else int(row.created_at.timestamp() * 1000)


def _times(page: GenerationPage) -> list[int]:
    return [at for row in page if (at := created_ms(row)) is not None]


def _overlap(page_size: int) -> int:
    return min(OVERLAP, page_size // 2)
