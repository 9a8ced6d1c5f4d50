"""Destinations: the state of each, and an operator's controls."""

from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin.destinations import MOST_COUNTED, tested
from receiver.admin.parameters import path_text
from receiver.console.pages import Group, get, post
from receiver.operations import schemas
from receiver.operations.backfill import Tally, run_backfill
from receiver.operations.moments import read_moment
from receiver.operations.stages import state_of
from receiver.store.backfill import Past
from receiver.store.backlog import COUNTED
from receiver.store.destinations import destination_statuses, known_destinations, pause


class Destinations(Group):
    """The page, and its buttons."""

    @get("/destinations")
    async def list(self, request: Request) -> Response:
        """All destinations."""
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
            backfills={name: _said(one) for name, one in self._parts.runner.backfills.items()},
            counted=COUNTED,
            now_ms=now_ms,
        )

    @post("/destinations/{name}/pause")
    async def pause(self, request: Request) -> Response:
        """Stop sending until resumed."""
        name = await self._known(request)
        reason = request.state.form.get("reason", "").strip()[:500]
        await self._note(request, "destinations.pause", f"{name} {reason}".strip())
        changed = await self._parts.store.transact_promptly(
            pause, name, reason=reason or None, now_ms=clock.now_ms()
        )
        return self._back(f"{name} is paused." if changed else f"{name} was paused already.")

    @post("/destinations/{name}/resume")
    async def resume(self, request: Request) -> Response:
        """Resume sending."""
        name = await self._known(request)
        await self._note(request, "destinations.resume", name)
        changed = await self._parts.store.resume(name)
        return self._back(f"{name} is running again." if changed else f"{name} was not paused.")

    @post("/destinations/{name}/test")
    async def test(self, request: Request) -> Response:
        """Send one message that says it is a test."""
        name = await self._known(request)
        target = self._parts.targets.get(name)
        if target is None:
            return self._back(f"{name} is not configured.")
        await self._note(request, "destinations.test", name)
        found = await tested(target)
        if found["delivered"]:
            return self._back(f"{name} took the test message. {found['receipt'] or ''}".strip())
        return self._back(f"{name} did not take the test message: {found['error']}")

    @post("/destinations/{name}/backfill")
    async def backfill(self, request: Request) -> Response:
        """Count, or make, the deliveries that a destination is missing."""
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
        await self._note(request, "destinations.backfill", f"{name} since {since or 'the beginning'}")
        self._parts.runner.backfill(past, self._parts.route)
        return self._back(f"The backfill of {name} is running; this page shows its progress.")

    async def _counted(self, past: Past) -> str:
        tally, parts = Tally(), self._parts
        async for _ in run_backfill(parts.store, past, tally, route=parts.route, dry_run=True):
            if tally.events >= MOST_COUNTED:
                so_far = f"{tally.created:,} of the first {tally.events:,} events"
                return f"{past.destination} lacks {so_far}; there are more."
        return f"{past.destination} lacks {tally.created:,} of {tally.events:,} events."

    async def _known(self, request: Request) -> str:
        name = path_text(request, "name")
        if name not in await self._parts.store.transact(known_destinations, self._parts.store.destinations):
            raise HTTPException(404)
        return name

    def _back(self, notice: str) -> Response:
        return self._pages.back("/destinations", notice)


def _said(one: schemas.Progress) -> str:
    so_far = " so far" if one["state"] == "running" else ""
    again = ": start it again" if one["state"] == "interrupted" else ""
    state = "" if one["state"] == "running" else f" {one['state']}"
    return f"Backfill{state}: {one['created']:,} created of {one['events']:,} events{so_far}{again}."
