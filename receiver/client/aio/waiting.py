"""Waiting for generations: local events are checked first and often, the provider rarely."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from receiver.client import parse, requests
from receiver.client.aio.caller import Caller
from receiver.client.decisions import TooLate
from receiver.client.errors import NotFound
from receiver.client.ledger import Events
from receiver.client.pagination import Walk
from receiver.client.polling import Group, Watch
from receiver.client.results import Generation
from receiver.contract import PAGE_SIZE_MAX
from receiver.errors import StoreUnavailable

SHARED_FROM = 4
"""From this many on, waits share one request for the list instead of one each."""
_EVENTS_EVERY_S = 1.0
_MOST_SINGLE_LOOKS = 10


class Waiting:
    """Polls until generations are finished."""

    def __init__(self, caller: Caller, events: Events | None) -> None:
        self._caller = caller
        self._events = events

    async def for_one(self, watch: Watch) -> Generation:
        """Return the generation once it is finished."""
        while watch.pending:
            seen = await self._rest(watch) or await self._look(watch, watch.deadline)
            if seen is not None:
                watch.saw(seen)
        assert watch.last is not None
        return watch.last

    async def for_many(self, group: Group) -> AsyncIterator[Generation]:
        """Yield each generation once it is finished."""
        for generation in group.finished_before():
            yield generation
        while group.pending:
            left_s = group.pause_s(self._caller.clock())
            while not (stored := await self._stored(group.pending)) and left_s > 0:
                left_s = await self._doze(left_s)
            for seen in stored or await self._look_at_all(group):
                if group.saw(seen):
                    yield seen
        group.check(self._caller.clock())

    async def _rest(self, watch: Watch) -> Generation | None:
        left_s = watch.pause_s(self._caller.clock())
        while not (stored := await self._stored([watch])) and left_s > 0:
            left_s = await self._doze(left_s)
        return stored[0] if stored else None

    async def _doze(self, left_s: float) -> float:
        pause_s = left_s if self._events is None else min(left_s, _EVENTS_EVERY_S)
        await self._caller.sleep(pause_s)
        return left_s - pause_s

    async def _stored(self, watches: Sequence[Watch]) -> list[Generation]:
        """Return those known to be finished from local events."""
        outcomes = await self._outcomes([watch.id for watch in watches])
        ended = [_ended(watch, outcomes[watch.id]) for watch in watches if watch.id in outcomes]
        return [generation for generation in ended if generation.finished]

    async def _outcomes(self, generation_ids: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        if self._events is None or not generation_ids:
            return {}
        try:
            return await asyncio.to_thread(self._events.outcomes, generation_ids)
        except StoreUnavailable:
            return {}  # the provider knows it too

    async def _look(self, watch: Watch, deadline: float) -> Generation | None:
        request = requests.get_generation(watch.id)
        try:
            return await self._caller.call(request, priority="wait", deadline=deadline)
        except TooLate:
            return None  # until then an event may still arrive
        except NotFound:
            if not watch.may_be_invisible(self._caller.clock()):
                raise
            return None

    async def _look_at_all(self, group: Group) -> list[Generation]:
        seen, rest, deadline = dict[str, Generation](), list(group.pending), group.deadline
        if len(rest) >= SHARED_FROM:
            seen |= await self._listed({watch.id for watch in rest}, deadline)
            rest = [watch for watch in rest if watch.id not in seen]
        for watch in group.in_turn(rest, _MOST_SINGLE_LOOKS):
            try:
                found = await self._look(watch, deadline)
            except NotFound as error:
                group.lacks(watch, error)
                continue
            if found is not None:
                seen[watch.id] = found
        return list(seen.values())

    async def _listed(self, wanted: set[str], deadline: float) -> dict[str, Generation]:
        walk, seen = Walk(PAGE_SIZE_MAX), dict[str, Generation]()
        for _ in range(1 + len(wanted) // PAGE_SIZE_MAX):
            request = requests.list_generations(kind=None, status=None, limit=walk.limit, offset=walk.offset)
            try:
                page = await self._caller.call(request, priority="wait", deadline=deadline)
            except TooLate:
                break
            seen |= {row.id: row for row in walk.take(page) if row.id in wanted}
            if walk.finished or len(seen) == len(wanted):
                break
        return seen


def _ended(watch: Watch, data: Mapping[str, object]) -> Generation:
    known = {} if watch.last is None else watch.last.raw
    return parse.generation({**known, **data, "id": watch.id})
