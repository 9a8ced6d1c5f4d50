"""Destinations: how each is doing, and what an operator may have done to it."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin import answers
from receiver.admin import parameters as asked
from receiver.admin.deeds import note
from receiver.admin.endpoint import Endpoint
from receiver.admin.parts import Parts, Target
from receiver.admin.runner import progress
from receiver.errors import ReceiverError
from receiver.expressions import compile_expression
from receiver.operations import schemas
from receiver.operations.backfill import Tally, run_backfill
from receiver.operations.status import destination_record
from receiver.outcomes import Delivered
from receiver.routing import narrowed
from receiver.store import Route
from receiver.store import destinations as stored
from receiver.store.backfill import Past

TEST_S: Final = 20.0
MOST_COUNTED: Final = 100_000
"""Events that a dry run looks at."""


class Destinations:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield every endpoint."""
        one = "/v1/destinations/{name}"
        done: dict[str, Any] = {"answer": schemas.Destination, "method": "POST"}
        yield Endpoint(
            "/v1/destinations", self.list, "List destinations", schemas.Listed[schemas.Destination]
        )
        yield Endpoint(one, self.one, "Show a destination", schemas.Destination)
        yield Endpoint(f"{one}/pause", self.pause, "Stop sending until resumed", body=asked.Pause, **done)
        yield Endpoint(f"{one}/resume", self.resume, "Send again", body=asked.Nothing, **done)
        yield Endpoint(
            f"{one}/test",
            self.test,
            "Send a test message",
            schemas.Tested,
            method="POST",
            body=asked.Nothing,
        )
        yield Endpoint(
            f"{one}/backfill",
            self.backfill,
            "Send events from before it existed",
            schemas.Progress,
            method="POST",
            body=asked.Backfill,
            begun=schemas.Progress,
        )
        yield Endpoint(
            f"{one}/backfill", self.progress, "Show how far this process's backfill is", schemas.Progress
        )

    async def list(self, _request: Request, _given: None) -> Response:
        """Those configured, and those that have deliveries."""
        names = await self._store.transact(stored.known_destinations, tuple(self._parts.targets))
        return answers.json({"data": [await self._record(name) for name in names]})

    async def one(self, request: Request, _given: None) -> Response:
        """How it is doing."""
        return answers.json(await self._record(await self._known(request)))

    async def pause(self, request: Request, given: asked.Pause) -> Response:
        """Send nothing until it is resumed."""
        name = await self._known(request)
        await note(self._store, request, "destinations.pause", f"{name} {given.reason or ''}".strip())
        await self._store.transact_promptly(
            stored.pause, name, reason=given.reason or None, now_ms=clock.now_ms()
        )
        return answers.json(await self._record(name))

    async def resume(self, request: Request, _given: asked.Nothing) -> Response:
        """Send again, the backlog first."""
        name = await self._known(request)
        await note(self._store, request, "destinations.resume", name)
        await self._store.resume(name)
        return answers.json(await self._record(name))

    async def test(self, request: Request, _given: asked.Nothing) -> Response:
        """Send one message that says it is a test."""
        target = self._target(request)
        await note(self._store, request, "destinations.test", asked.path_text(request, "name"))
        return answers.json(await tested(target))

    async def backfill(self, request: Request, given: asked.Backfill) -> Response:
        """Count, or make, the deliveries that a destination lacks."""
        self._target(request)
        name, route = asked.path_text(request, "name"), self._route(given)
        until_ms = clock.now_ms() if given.until is None else given.until
        past = Past(name, max(given.since or 0, 0), max(until_ms, 0))
        if given.dry_run:
            return answers.json(await self._counted(past, route))
        on = f"{name} since_ms={past.since_ms} until_ms={past.until_ms} {given.filter or ''}".strip()
        await note(self._store, request, "destinations.backfill", on)
        return answers.json(self._parts.runner.backfill(past, route), 202)

    async def progress(self, request: Request, _given: None) -> Response:
        """How far it is."""
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
    """Send a test message, and return what became of it."""
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
