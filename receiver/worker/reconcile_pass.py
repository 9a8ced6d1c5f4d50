"""Reconciling: generations that finished without a webhook become events anyway.

    sweep the list → record what is missing → look at what is still in doubt → keep the cursor

They go through the same dedupe as webhooks, so a webhook that arrives later is a duplicate.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Final, Protocol, TypeVar

from receiver import clock, events, tracing
from receiver.client import ClientError, Generation, GenerationPage, NotFound
from receiver.contract import COMPLETED, FAILED
from receiver.receive import entry_of, trace_generation
from receiver.store import Store
from receiver.store.passes import awaited, known_endings
from receiver.store.record import Duplicate, Entry, NewEvent, Recorded, RecordResult
from receiver.worker.cursor import Cursor
from receiver.worker.sweep import PAGE_SIZE, created_ms

T = TypeVar("T")
Record = Callable[[Entry], Awaitable[RecordResult]]
Save = Callable[[Cursor, Mapping[str, int]], Awaitable[bool]]
"""Saves the cursor, and when to look again at the submitted generations in the mapping.

False if another worker has the turn by now.
"""

_AWAITED_FOR_MS: Final = 7 * 24 * 3_600_000
_NO_LOOKS: Final[Mapping[str, int]] = {}
VIA: Final = "reconcile"


class Generations(Protocol):
    """What the provider shows for one account, under its rate limit."""

    async def list(self, *, limit: int, offset: int) -> GenerationPage:
        """Return one page."""

    async def get(self, generation_id: str) -> Generation:
        """Return one generation."""


@dataclass(frozen=True, slots=True)
class Account:
    """A source that can be queried."""

    source: str
    generations: Generations


@dataclass(slots=True)
class Report:
    """The results of one pass."""

    source: str
    since_ms: int
    """What was created before this was not checked, unless it was in doubt."""
    requests: int = 0
    seen: int = 0
    """How many generations the provider listed."""
    finished: int = 0
    recorded: list[str] = field(default_factory=list)
    """Those whose event was missing. In a dry run it still is."""
    waiting: int = 0
    """Those still unfinished."""
    complete: bool = False
    """Whether everything since `since_ms` was seen; if not, the next pass continues."""
    failure: ClientError | None = None
    """The provider's refusal that ended it early."""


class Pass:
    """One pass over one account, with a limited number of requests."""

    def __init__(
        self,
        store: Store,
        account: Account,
        cursor: Cursor,
        *,
        max_requests: int,
        record: Record | None = None,
        save: Save,
    ) -> None:
        self._store = store
        self._account = account
        self._cursor = cursor
        self._left = max_requests
        self._keep_entry = record or store.record
        self._save = save
        self._seen: set[str] = set()
        self._waiting: set[str] = set()
        floor_ms = cursor.next_sweep(0).floor_ms
        self.report = Report(account.source, floor_ms)

    async def run(self) -> Report:
        """Check, record, and return what was found. If the provider refuses, end early without an error."""
        try:
            await self._sweep()
            await self._look_up()
        except ClientError as error:
            self.report.failure = error
        self.report.waiting = len(self._waiting)
        return self.report

    async def _sweep(self) -> None:
        resumed = self._cursor.sweep is not None
        sweep = self._cursor.next_sweep(clock.now_ms())
        while self._left and not sweep.finished:
            page = await self._ask(self._account.generations.list(limit=PAGE_SIZE, offset=sweep.offset))
            await self._take(sweep.take(page))
            await self._keep(replace(self._cursor, sweep=sweep))
        self._waiting.update(sweep.waiting)
        if not sweep.finished:
            return
        await self._keep(self._cursor.after(sweep))
        if resumed:
            # It began in an earlier pass, and knows nothing created since.
            await self._sweep()
        else:
            self.report.complete = True

    async def _look_up(self) -> None:
        """Check one by one what the sweep did not settle, as far as the requests allow."""
        source, now_ms = self._account.source, clock.now_ms()
        asked = await self._store.transact_promptly(
            awaited, source, since_ms=now_ms - _AWAITED_FOR_MS, now_ms=now_ms
        )
        in_doubt = [id_ for id_ in _by_turns(self._cursor.watched, asked) if id_ not in self._seen]
        ended = {id_ for id_, _ in await self._store.transact_promptly(known_endings, source, in_doubt)}
        looks: dict[str, int] = {}
        try:
            for id_ in [id_ for id_ in in_doubt if id_ not in ended][: self._left]:
                # Before the request, so that one that makes the provider fail does not block the rest.
                looks[id_] = now_ms
                row = await self._look_at(id_)
                if row is None:
                    # It may just not be visible yet. Checked again at twice its age, one that never is costs
                    # about a dozen requests in its week.
                    looks[id_] = now_ms + max(now_ms - asked.get(id_, now_ms), 0)
                if row is None or row.finished:
                    ended.add(id_)
        except ClientError as error:
            self.report.failure = error
        self._waiting.difference_update(ended)
        self._waiting.update(id_ for id_ in in_doubt if id_ not in ended)
        await self._keep(self._cursor.watching(looks, ended, now_ms=now_ms), looks)

    async def _look_at(self, generation_id: str) -> Generation | None:
        """Return one generation, recorded if it is finished; None if it does not exist."""
        try:
            row = await self._ask(self._account.generations.get(generation_id))
        except NotFound:
            return None
        if row.finished:
            await self._record([row])
        return row

    async def _take(self, rows: Sequence[Generation]) -> None:
        finished = [row for row in rows if row.finished]
        self.report.seen += len(rows)
        self.report.finished += len(finished)
        known = await self._store.transact_promptly(
            known_endings, self._account.source, [row.id for row in finished]
        )
        absent = missing(finished, known)
        whole = [row for row in absent if has_asset_url(row)]
        await self._record(whole)
        # A list without the URL may still give it for a single generation.
        partial = {row.id: created_ms(row) or clock.now_ms() for row in absent if not has_asset_url(row)}
        self._cursor = replace(self._cursor, watched={**self._cursor.watched, **partial})
        self._seen.update(row.id for row in rows if row.id not in partial)

    async def _record(self, rows: Sequence[Generation]) -> None:
        source, now_ms = self._account.source, clock.now_ms()
        entries = [
            webhook_entry(row, source=source, now_ms=now_ms, entropy=secrets.token_bytes(10)) for row in rows
        ]
        results = await asyncio.gather(*(self._keep_entry(entry) for entry in entries))
        new = [
            entry.generation_id
            for entry, result in zip(entries, results, strict=True)
            if isinstance(entry, NewEvent) and not isinstance(result, Duplicate)
        ]
        self.report.recorded += new
        if tracing.is_on():
            for entry, result in zip(entries, results, strict=True):
                if isinstance(result, Recorded) and isinstance(entry, NewEvent):
                    trace_generation(entry)

    async def _ask(self, request: Awaitable[T]) -> T:
        self._left -= 1
        self.report.requests += 1
        return await request

    async def _keep(self, cursor: Cursor, looks: Mapping[str, int] = _NO_LOOKS) -> None:
        self._cursor = cursor
        if not await self._save(cursor, looks):
            # Another worker has the turn by now, and continues from what was saved last.
            self._left = 0


def _by_turns(*lines: Iterable[str]) -> list[str]:
    """Return the ids of all *lines*, taking turns, so that a long line does not block another."""
    mixed = chain.from_iterable(zip_longest(*lines))
    return list(dict.fromkeys(id_ for id_ in mixed if id_ is not None))


def event_type(row: Generation) -> str:
    """Return the event type that matches the end of *row*."""
    return COMPLETED if row.status == "completed" else FAILED


def missing(rows: Iterable[Generation], known: Collection[tuple[str, str]]) -> list[Generation]:
    """Return the finished *rows* whose event is not in *known*. A completion is final."""
    return [
        row
        for row in rows
        if row.finished and not {(row.id, COMPLETED), (row.id, event_type(row))} & set(known)
    ]


def has_asset_url(row: Generation) -> bool:
    """Whether *row* says where its file is, unless it has no file."""
    return row.status != "completed" or row.output_url is not None


def webhook_body(row: Generation) -> bytes:
    """Write the webhook for the end of *row*, as the provider would."""
    data = {**row.raw, "id": row.id, "status": row.status}
    body = {"event": event_type(row), "data": data, "created_at": row.raw.get("completed_at")}
    # The standard library writes anything it can read: lone surrogates, numbers of any length.
    return json.dumps(body).encode()


def webhook_entry(row: Generation, *, source: str, now_ms: int, entropy: bytes) -> Entry:
    """Build the entry to record for *row*; a webhook that we could not read is quarantined, as always."""
    body = webhook_body(row)
    read = events.normalize(body, source=source)
    return entry_of(read, body, source=source, now_ms=now_ms, entropy=entropy, via=VIA)
