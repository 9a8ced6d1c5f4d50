"""The application that consumers pull from. Every route of it is listed here."""

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from receiver import clock
from receiver.admin import answers
from receiver.admin.parameters import path_text, read_body
from receiver.admin.token import Guard
from receiver.events import event_ms, utc_time
from receiver.pull.queue import Bell, Leased, PullQueue
from receiver.pull.wishes import Acknowledgement, Extension, Lease, Return
from receiver.store import Store
from receiver.store.destinations import destination_statuses
from receiver.store.pull import Acknowledged, Held, acknowledge, extend, return_messages
from receiver.store.wake import FORWARD
from receiver.telemetry import logs, metrics

MOST_WAITING: Final = 500
"""Maximum long polls at once; others are asked to retry."""
_PREFIX: Final = "/v1/pull/"
_HINT: Final = " Consumers carry RECEIVER_PULL_TOKEN, or RECEIVER_DESTINATIONS__{}__TOKEN where that is set."

log = structlog.get_logger()


class PullApi:
    """The handlers over the queues of one store."""

    def __init__(self, store: Store, queues: Sequence[PullQueue], bell: Bell) -> None:
        self._store = store
        self._queues = {one.name: one for one in queues}
        self._bell = bell

    def routes(self) -> list[Route]:
        """Return every route."""
        actions = {
            "lease": self.lease,
            "ack": self.ack,
            "extend": self.extend,
            "return": self.return_messages,
        }
        return [
            Route("/healthz", answers.healthz, methods=["GET"]),
            Route(_PREFIX + "{destination}", self.backlog, methods=["GET"]),
            *(
                Route(f"{_PREFIX}{{destination}}/{action}", do, methods=["POST"])
                for action, do in actions.items()
            ),
        ]

    async def backlog(self, request: Request) -> Response:
        """`GET /v1/pull/{destination}`: how much waits, leased messages included."""
        [status] = await self._store.look(destination_statuses, [self._queue(request).name])
        now_ms, waiting = clock.now_ms(), status.waiting
        oldest_s = None if waiting.oldest_ms is None else round(waiting.oldest_s(now_ms), 3)
        return answers.json(
            {
                "destination": status.name,
                "pending": waiting.count,
                "oldest_pending_s": oldest_s,
                "dead": status.dead,
                "paused": status.paused_ms is not None,
            }
        )

    async def lease(self, request: Request) -> Response:
        """`POST /v1/pull/{destination}/lease`: messages, as soon as there are any."""
        queue = self._queue(request)
        wish = await read_body(request, Lease)
        ends = asyncio.get_running_loop().time() + wish.wait_s
        gone = asyncio.create_task(_until_gone(request))
        try:
            while True:
                async with self._bell.waits_for(queue.name) as rung:
                    leased = await queue.lease(wish.max, wish.visibility_s or queue.visibility_s)
                    left_s = ends - asyncio.get_running_loop().time()
                    if leased.messages or left_s <= 0 or self._bell.is_stopped:
                        return _given(leased)
                    if self._bell.waiting > MOST_WAITING:
                        raise answers.Refusal(
                            503, "too_many_waiting", "Come back in a second, or do not wait."
                        )
                    await _either(rung, gone, within_s=left_s)
                if gone.done():
                    return _given(leased)
        finally:
            gone.cancel()

    async def ack(self, request: Request) -> Response:
        """`POST /v1/pull/{destination}/ack`: acknowledge these messages."""
        queue = self._queue(request)
        held = (await read_body(request, Acknowledgement)).held_at(queue.name)
        done: list[Acknowledged] = []
        if held:
            done = await self._store.transact_promptly(acknowledge, held, now_ms=clock.now_ms())
        for one in done:
            metrics.FORWARDS.labels(queue.name, "delivered").inc()
            if one.is_first:
                delay_s = max(0, clock.now_ms() - event_ms(one.event_id)) / 1000
                metrics.DELIVERY_DELAY.labels(queue.name).observe(delay_s)
            logs.info("acknowledged", event_id=one.event_id, destination=queue.name, attempts=one.attempts)
        return _answer(held, acknowledged=[one.event_id for one in done])

    async def extend(self, request: Request) -> Response:
        """`POST /v1/pull/{destination}/extend`: extend the lease of these messages."""
        queue = self._queue(request)
        wish = await read_body(request, Extension)
        held = wish.held_at(queue.name)
        until_ms = clock.now_ms() + int((wish.visibility_s or queue.visibility_s) * 1000)
        kept = await self._store.transact_promptly(extend, held, until_ms=until_ms) if held else []
        return _answer(held, extended=kept, until=utc_time(until_ms))

    async def return_messages(self, request: Request) -> Response:
        """`POST /v1/pull/{destination}/return`: return these messages for another consumer."""
        queue = self._queue(request)
        wish = await read_body(request, Return)
        held, error, now_ms = wish.held_at(queue.name), wish.reason, clock.now_ms()
        if held is None:
            return _answer(held, returned=[], dead=[])
        given = await self._store.transact_promptly(
            return_messages,
            held,
            due_ms=now_ms + int(wish.delay_s * 1000),
            now_ms=now_ms,
            error=error,
            max_receives=queue.max_receives,
        )
        self._store.wake.signal(FORWARD)
        _report_back(queue.name, given.due, "postponed", error)
        _report_back(queue.name, given.dead, "dead", error)
        return _answer(held, returned=given.due, dead=given.dead)

    def _queue(self, request: Request) -> PullQueue:
        return self._queues[path_text(request, "destination")]


def build_app(store: Store, queues: Sequence[PullQueue], bell: Bell, *, tokens: Mapping[str, str]) -> ASGIApp:
    """Build the application for consumers that hold a destination's token."""
    app = Starlette(routes=PullApi(store, queues, bell).routes(), exception_handlers=answers.HANDLERS)
    app.router.redirect_slashes = False
    nobodys = secrets.token_hex(32)

    def token_of(path: str) -> str:
        """Return the token of the destination in *path*; for an unknown one, a token that nobody has."""
        return tokens.get(_named_in(path), nobodys)

    return Guard(app, token_of, lambda path: _HINT.format(_named_in(path).upper() or "<NAME>"))


def _named_in(path: str) -> str:
    return path.removeprefix(_PREFIX).partition("/")[0]


async def _until_gone(request: Request) -> None:
    """Wait until the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _either(rung: asyncio.Event, gone: "asyncio.Task[None]", *, within_s: float) -> None:
    ringing = asyncio.create_task(rung.wait())
    try:
        await asyncio.wait({ringing, gone}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ringing.cancel()
        with suppress(asyncio.CancelledError):
            await ringing


def _given(leased: Leased) -> Response:
    messages = [
        {"id": message.id, "receives": receives, "event": orjson.Fragment(message.body)}
        for message, receives in leased.messages
    ]
    until = utc_time(leased.until_ms) if messages else None
    return answers.json({"lease": leased.lease if messages else None, "until": until, "messages": messages})


def _answer(held: Held | None, **done: Any) -> Response:
    """Answer with what was *done*, and which of the named messages were no longer held."""
    named = set(held.ids or ()) if held else set()
    known = {id_ for ids in done.values() if isinstance(ids, list) for id_ in ids}
    return answers.json({**done, "lost": sorted(named - known)})


def _report_back(destination: str, ids: Iterable[str], outcome: str, error: str) -> None:
    for id_ in ids:
        metrics.FORWARDS.labels(destination, outcome).inc()
        log.warning("given back", event_id=id_, destination=destination, outcome=outcome, error=error)
