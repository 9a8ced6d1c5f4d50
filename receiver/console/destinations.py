"""Destinations: how each is doing, and what an operator may have done to it."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver import clock
from receiver.admin.parameters import path_text
from receiver.console.deeds import Deeds
from receiver.console.guard import HOME
from receiver.console.pages import Pages
from receiver.console.parts import Parts
from receiver.errors import ReceiverError, StoreUnavailable
from receiver.operations.backfill import Tally, run_backfill
from receiver.operations.moments import read_moment
from receiver.operations.stages import state_of
from receiver.outcomes import Delivered
from receiver.store.backfill import Past
from receiver.store.backlog import COUNTED
from receiver.store.destinations import destination_statuses, known_destinations, pause

_TEST_S: Final = 20.0
_MOST_COUNTED: Final = 100_000
"""Events that a dry run looks at."""

log = structlog.get_logger()


class Destinations:
    """The page, and its buttons."""

    def __init__(self, parts: Parts, pages: Pages, deeds: Deeds) -> None:
        self._parts = parts
        self._pages = pages
        self._deeds = deeds
        self._backfills: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Return every route."""
        one = f"{HOME}/destinations/{{name}}"
        return [
            Route(f"{HOME}/destinations", self.list, methods=["GET"]),
            Route(f"{one}/pause", self.pause, methods=["POST"]),
            Route(f"{one}/resume", self.resume, methods=["POST"]),
            Route(f"{one}/test", self.test, methods=["POST"]),
            Route(f"{one}/backfill", self.backfill, methods=["POST"]),
        ]

    async def aclose(self) -> None:
        """Cut backfills off: what they made stays, and asked for again they go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def list(self, request: Request) -> Response:
        """Every destination."""
        store = self._parts.store
        names = await store.transact(known_destinations, tuple(self._parts.targets))
        found = await store.transact(destination_statuses, names)
        now_ms = clock.now_ms()
        return self._pages.page(
            request,
            "destinations.html",
            destinations=[
                (one, state_of(one, now_ms, is_configured=one.name in self._parts.targets)) for one in found
            ],
            kinds={name: target.kind for name, target in self._parts.targets.items()},
            backfills=self._backfills,
            counted=COUNTED,
        )

    async def pause(self, request: Request) -> Response:
        """Send nothing until it is resumed."""
        name = await self._known(request)
        reason = request.state.form.get("reason", "").strip()[:500]
        await self._deeds.note(request, "destinations.pause", f"{name} {reason}".strip())
        changed = await self._parts.store.transact_promptly(
            pause, name, reason=reason or None, now_ms=clock.now_ms()
        )
        return self._back(f"{name} is paused." if changed else f"{name} was paused already.")

    async def resume(self, request: Request) -> Response:
        """Send again."""
        name = await self._known(request)
        await self._deeds.note(request, "destinations.resume", name)
        changed = await self._parts.store.resume(name)
        return self._back(f"{name} is running again." if changed else f"{name} was not paused.")

    async def test(self, request: Request) -> Response:
        """Send one message that says it is a test."""
        name = await self._known(request)
        target = self._parts.targets.get(name)
        if target is None:
            return self._back(f"{name} is not configured.")
        await self._deeds.note(request, "destinations.test", name)
        try:
            async with asyncio.timeout(_TEST_S):
                outcome = await target.send_test()
        except TimeoutError:
            return self._back(f"{name} did not answer within {_TEST_S:.0f} s.")
        except ReceiverError as error:
            return self._back(f"{name}: {error}")
        if isinstance(outcome, Delivered):
            return self._back(f"{name} took the test message. {outcome.receipt}".strip())
        return self._back(f"{name} did not take the test message: {outcome.error}")

    async def backfill(self, request: Request) -> Response:
        """Count, or make, the deliveries that a destination lacks."""
        name, form = await self._known(request), request.state.form
        if name not in self._parts.targets:
            return self._back(f"{name} is not configured.")
        try:
            since = form.get("since", "").strip()
            first = read_moment(since, now=datetime.now(UTC)) if since else None
        except ValueError as error:
            return self._back(f"Since: {error}")
        since_ms = max(int(first.timestamp() * 1000), 0) if first else 0
        past = Past(name, since_ms, clock.now_ms())
        if form.get("dry_run"):
            return self._back(await self._counted(past))
        await self._deeds.note(request, "destinations.backfill", f"{name} since {since or 'the beginning'}")
        self._backfills[name] = "Backfill started."
        task = asyncio.create_task(self._run(past))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self._back(f"The backfill of {name} is running; this page shows its progress.")

    async def _counted(self, past: Past) -> str:
        tally, parts = Tally(), self._parts
        async for _ in run_backfill(parts.store, past, tally, route=parts.route, dry_run=True):
            if tally.events >= _MOST_COUNTED:
                return (
                    f"{past.destination} lacks {tally.made:,} of the first {tally.events:,} events;"
                    " there are more."
                )
        return f"{past.destination} lacks {tally.made:,} of {tally.events:,} events."

    async def _run(self, past: Past) -> None:
        tally, name = Tally(), past.destination
        try:
            async for _ in run_backfill(self._parts.store, past, tally, route=self._parts.route):
                self._backfills[name] = f"Backfill: {tally.made:,} made of {tally.events:,} events so far."
            self._backfills[name] = f"Backfill done: {tally.made:,} made of {tally.events:,} events."
        except StoreUnavailable as error:
            log.warning("backfill interrupted", destination=name, error=str(error))
            self._backfills[name] = f"Backfill interrupted after {tally.made:,}: start it again."

    async def _known(self, request: Request) -> str:
        name = path_text(request, "name")
        if name not in await self._parts.store.transact(known_destinations, self._parts.store.destinations):
            raise HTTPException(404)
        return name

    def _back(self, notice: str) -> Response:
        return self._pages.back("/destinations", notice)
