"""Waiting for generations: the local ledger is asked first and often, the provider gently."""

from collections.abc import Iterator, Mapping

from receiver.client import parse, requests
from receiver.client.blocking.caller import Caller
from receiver.client.errors import NotFound
from receiver.client.ledger import Ledger
from receiver.client.pagination import Walk
from receiver.client.polling import Group, Watch
from receiver.client.results import Generation
from receiver.contract import PAGE_SIZE_MAX
from receiver.errors import StoreUnavailable

SHARED_FROM = 4
"""As many waits share one look at the list, instead of a look at each."""
_LEDGER_EVERY_S = 1.0
_MOST_SINGLE_LOOKS = 10


class Waiting:
    """Looks until something is finished."""

    def __init__(self, caller: Caller, ledger: Ledger | None) -> None:
        self._caller = caller
        self._ledger = ledger

    def for_one(self, watch: Watch) -> Generation:
        """Return the generation once it is finished."""
        while watch.pending:
            seen = self._rest(watch) or self._look(watch)
            if seen is not None:
                watch.saw(seen)
        assert watch.last is not None
        return watch.last

    def for_many(self, group: Group) -> Iterator[Generation]:
        """Yield each generation once it is finished."""
        yield from group.finished_before()
        while group.pending:
            self._caller.sleep(group.pause_s(self._caller.clock()))
            for seen in self._look_at_all(group):
                if group.saw(seen):
                    yield seen
        group.check(self._caller.clock())

    def _rest(self, watch: Watch) -> Generation | None:
        left_s = watch.pause_s(self._caller.clock())
        while (stored := self._stored(watch)) is None and left_s > 0:
            pause_s = left_s if self._ledger is None else min(left_s, _LEDGER_EVERY_S)
            self._caller.sleep(pause_s)
            left_s -= pause_s
        return stored

    def _stored(self, watch: Watch) -> Generation | None:
        data = self._outcome(watch.id)
        if data is None:
            return None
        known = {} if watch.last is None else watch.last.raw
        stored = parse.generation({**known, **data, "id": watch.id})
        return stored if stored.finished else None

    def _outcome(self, generation_id: str) -> Mapping[str, object] | None:
        if self._ledger is None:
            return None
        try:
            return self._ledger.outcome(generation_id)
        except StoreUnavailable:
            return None  # the provider knows it too

    def _look(self, watch: Watch) -> Generation | None:
        try:
            return self._caller.call(requests.get_generation(watch.id), priority="wait")
        except NotFound:
            if not watch.may_be_invisible(self._caller.clock()):
                raise
            return None

    def _look_at_all(self, group: Group) -> list[Generation]:
        stored = [self._stored(watch) for watch in group.pending]
        seen = {found.id: found for found in stored if found is not None}
        rest = [watch for watch in group.pending if watch.id not in seen]
        if len(rest) >= SHARED_FROM:
            seen |= self._listed({watch.id for watch in rest})
            rest = [watch for watch in rest if watch.id not in seen]
        for watch in group.in_turn(rest, _MOST_SINGLE_LOOKS):
            found = self._look(watch)
            if found is not None:
                seen[watch.id] = found
        return list(seen.values())

    def _listed(self, wanted: set[str]) -> dict[str, Generation]:
        walk, seen = Walk(PAGE_SIZE_MAX), dict[str, Generation]()
        for _ in range(1 + len(wanted) // PAGE_SIZE_MAX):
            request = requests.list_generations(kind=None, status=None, limit=walk.limit, offset=walk.offset)
            page = self._caller.call(request, priority="wait")
            seen |= {row.id: row for row in walk.take(page) if row.id in wanted}
            if walk.finished or len(seen) == len(wanted):
                break
        return seen
