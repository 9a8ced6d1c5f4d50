"""Destinations: the state of each, and actions for operators."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin import answers
from receiver.admin import parameters as asked
from receiver.admin.deeds import note
from receiver.admin.endpoint import get, post
from receiver.admin.parts import Parts, Target
from receiver.admin.runner import progress
from receiver.errors import ReceiverError
from receiver.expressions import compile_expression
from receiver.operations import schemas
from receiver.operations.backfill import Tally, run_backfill
from receiver.operations.status import destination_record
from receiver.outcomes import Delivered
from receiver.routing import narrowed
from receiver.store import destinations as stored
from receiver.store.backfill import Past
from receiver.store.fanout import Route

_ONE: Final = "/v1/destinations/{name}"
TEST_S: Final = 20.0
MOST_COUNTED: Final = 100_000
"""Maximum events that a dry run reads."""


class Destinations:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    @get("/v1/destinations", schemas.Listed[schemas.Destination])
    async def list(self, _request: Request, _given: None) -> Response:
        """List destinations.

        Those configured, and those that have deliveries.
        """
        names = await self._store.transact(stored.known_destinations, tuple(self._parts.targets))
        return answers.json({"data": [await self._record(name) for name in names]})

    @get(_ONE, schemas.Destination)
    async def one(self, request: Request, _given: None) -> Response:
        """Show a destination."""
        return answers.json(await self._record(await self._known(request)))

    @post(f"{_ONE}/pause", schemas.Destination, body=asked.Pause)
    async def pause(self, request: Request, given: asked.Pause) -> Response:
        """Stop sending until resumed."""
        name = await self._known(request)
        await note(self._store, request, "destinations.pause", f"{name} {given.reason or ''}".strip())
        await self._store.transact_promptly(
            stored.pause, name, reason=given.reason or None, now_ms=clock.now_ms()
        )
        return answers.json(await self._record(name))

    @post(f"{_ONE}/resume", schemas.Destination)
    async def resume(self, request: Request, _given: asked.Nothing) -> Response:
        """Send again."""
        name = await self._known(request)
        await note(self._store, request, "destinations.resume", name)
        await self._store.resume(name)
        return answers.json(await self._record(name))

    @post(f"{_ONE}/test", schemas.Tested)
    async def test(self, request: Request, _given: asked.Nothing) -> Response:
        """Send a test message."""
        target = self._target(request)
        await note(self._store, request, "destinations.test", asked.path_text(request, "name"))
        return answers.json(await tested(target))

    @post(f"{_ONE}/backfill", schemas.Progress, body=asked.Backfill, begun=schemas.Progress)
    async def backfill(self, request: Request, given: asked.Backfill) -> Response:
        """Send events from before it existed."""
        self._target(request)
        name, route = asked.path_text(request, "name"), self._route(given)
        until_ms = clock.now_ms() if given.until is None else given.until
        past = Past(name, max(given.since or 0, 0), max(until_ms, 0))
        if given.dry_run:
            return answers.json(await self._counted(past, route))
        on = f"{name} since_ms={past.since_ms} until_ms={past.until_ms} {given.filter or ''}".strip()
        await note(self._store, request, "destinations.backfill", on)
        return answers.json(self._parts.runner.backfill(past, route), 202)

    @get(f"{_ONE}/backfill", schemas.Progress)
    async def progress(self, request: Request, _given: None) -> Response:
        """Show the progress of this process's backfill."""
        name = asked.path_text(request, "name")
        found = self._parts.runner.backfills.get(name)
        if found is None:
            raise answers.unknown("backfill in this process for destination", name)
        return answers.json(found)

    async def _counted(self, past: Past, route: Route) -> schemas.Progress:
        tally = Tally()
        async for _ in run_backfill(self._store, past, tally, route=route, dry_run=True):
            if tally.events >= MOST_COUNTED:
                return {**progress(past, tally, "done", dry_run=True), "is_capped": True}
        return progress(past, tally, "done", dry_run=True)

    def _route(self, given: asked.Backfill) -> Route:
        if given.filter is None:
            return self._parts.route
        try:
            return narrowed(self._parts.route, compile_expression(given.filter))
        except ValueError as error:
            raise answers.invalid(f"filter: it must be {error}") from None

    def _target(self, request: Request) -> Target:
        name = asked.path_text(request, "name")
        target = self._parts.targets.get(name)
        if target is None:
            raise answers.unknown("configured destination", name)
        return target

    async def _known(self, request: Request) -> str:
        name = asked.path_text(request, "name")
        if name not in await self._store.transact(stored.known_destinations, tuple(self._parts.targets)):
            raise answers.unknown("destination", name)
        return name

    async def _record(self, name: str) -> schemas.Destination:
        [status] = await self._store.transact(stored.destination_statuses, [name])
        kinds: dict[str, str | None] = {known: one.kind for known, one in self._parts.targets.items()}
        return destination_record(status, kinds, clock.now_ms())


async def tested(target: Target) -> schemas.Tested:
    """Send a test message, and return the outcome."""
    try:
        async with asyncio.timeout(TEST_S):
            outcome = await target.send_test()
    except TimeoutError:
        return {"delivered": False, "receipt": None, "error": f"it did not answer within {TEST_S:.0f} s"}
    except ReceiverError as error:
        return {"delivered": False, "receipt": None, "error": str(error)}
    if isinstance(outcome, Delivered):
        return {"delivered": True, "receipt": outcome.receipt or None, "error": None}
    return {"delivered": False, "receipt": None, "error": outcome.error}
