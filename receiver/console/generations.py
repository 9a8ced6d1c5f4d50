"""Generations: search, and the full story of one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from receiver import clock, operations
from receiver.admin.answers import Refusal
from receiver.admin.parameters import one_of, path_text, query_cursor, query_text
from receiver.admin.parts import Parts
from receiver.console.guard import HOME
from receiver.console.media import SHOWN
from receiver.console.pages import Group, Pages, get, of_generation, post
from receiver.deliver import trace_of
from receiver.events import EVENT_KINDS, Event, envelope, normalize
from receiver.operations import interventions
from receiver.operations.moments import read_moment
from receiver.operations.next_try import circumstances
from receiver.operations.timeline import timeline_of
from receiver.states import EVENT_STATES
from receiver.store.contents import LOOKED_AT, find_words
from receiver.store.filters import Filter
from receiver.store.operations import Order
from receiver.store.search import ReadEvent, read_events
from receiver.store.story import EventStory, identify, story
from receiver.store.window import Page

_ROWS: Final = 40
_FILTERS: Final = ("state", "kind", "destination", "error", "since")


@dataclass(frozen=True, slots=True)
class Card:
    """An event in a list."""

    read: ReadEvent
    prompt: str
    shown_as: str | None
    """`image`, `video` or `audio` if a browser can show its asset."""


class Generations(Group):
    """The list, one generation's page, and its buttons."""

    def __init__(self, parts: Parts, pages: Pages) -> None:
        super().__init__(parts, pages)
        self._late_ms = int(parts.late_s * 1000)

    @get("/generations")
    async def list(self, request: Request) -> Response:
        """The latest events, or those searched for."""
        query = request.query_params
        text = query.get("q", "").replace("\0", "").strip()
        if text:
            named = await self._store.transact(identify, text)
            if len(named) == 1 and not query.get("cursor"):
                return RedirectResponse(of_generation(*named[0]), 303)
        try:
            page = await self._page(request, text)
            problem = None
        except (ValueError, Refusal) as error:
            page, problem = Page([], None, more=False), str(error)
        further = {**{name: query[name] for name in ("q", *_FILTERS) if query.get(name)}}
        cursor = page.cursor[0] if page.cursor and page.more else None
        return self._pages.page(
            request,
            "generations.html",
            200 if problem is None else 400,
            cards=[_card(one) for one in page.rows],
            problem=problem,
            text=text,
            given={name: query.get(name, "") for name in _FILTERS},
            is_filtered=bool(further),
            further=f"?{urlencode({**further, 'cursor': cursor})}" if cursor else None,
            looked_at=LOOKED_AT,
            states=EVENT_STATES,
            kinds=EVENT_KINDS,
            names=dict.fromkeys([*self._parts.targets, *filter(None, [query.get("destination")])]),
        )

    async def _page(self, request: Request, text: str) -> Page[ReadEvent]:
        after = query_cursor(request, 1)
        if text:
            return await self._store.transact(
                find_words, text, after=after[0] if after else None, limit=_ROWS
            )
        return await self._store.transact(
            read_events, _wanted(request), after=after, limit=_ROWS, newest_first=True
        )

    @get("/events/{id}")
    async def of_event(self, request: Request) -> Response:
        """The generation that an event is about."""
        found = await self._store.transact(identify, path_text(request, "id"))
        if not found:
            raise HTTPException(404)
        return RedirectResponse(of_generation(*found[0]), 303)

    @get("/generations/{source}")
    async def one(self, request: Request) -> Response:
        """Everything about one generation."""
        source, generation_id = path_text(request, "source"), query_text(request, "id")
        found = await self._store.transact(story, source, generation_id)
        if found is None:
            raise HTTPException(404)
        told = found.submission.told if found.submission else None
        seen = await self._store.transact(circumstances, self._parts.configured, now_ms=clock.now_ms())
        return self._pages.page(
            request,
            "generation.html",
            story=found,
            events=[
                (one, timeline_of(one, seen), _message(one, told), _card(ReadEvent(one.event, one.body)))
                for one in found.events
            ],
        )

    @post("/events/{id}/replay")
    async def replay(self, request: Request) -> Response:
        """Send an event again to all destinations, or to one."""
        id_ = path_text(request, "id")
        to = request.state.form.get("destination", "")
        names = tuple(name for name in self._parts.targets if to in ("", name))
        if not names:
            return await self._back(id_, "No destination is configured: nothing was sent.")
        await self._note(request, "events.replay", f"{id_} to {', '.join(names)}")
        order = Order("events.replay", Filter(ids=(id_,), state="settled"), names, rate=0)
        return await self._ordered(id_, order, "Sent again")

    @post("/events/{id}/retry")
    async def retry(self, request: Request) -> Response:
        """Send now what waits for its next attempt or is a dead letter."""
        id_, to = path_text(request, "id"), request.state.form.get("destination", "")
        state = "dead" if request.state.form.get("state") == "dead" else "pending"
        await self._note(request, "deliveries.retry", f"{id_} to {to}, {state}")
        wanted = Filter(ids=(id_,), destination=to, state=state)
        return await self._ordered(id_, Order("deliveries.retry", wanted, rate=0), "Put back in the queue")

    @post("/events/{id}/mirror-now")
    async def mirror_now(self, request: Request) -> Response:
        """Have the asset retried at once."""
        id_ = path_text(request, "id")
        await self._note(request, "events.mirror-now", id_)
        was = await interventions.hurry(self._store, id_, late_ms=self._late_ms)
        said = (
            "A worker is fetching the asset now."
            if was
            else "There is nothing to mirror, or a worker is busy with it."
        )
        return await self._back(id_, said)

    @post("/events/{id}/release")
    async def release(self, request: Request) -> Response:
        """Forward an event without its asset, which is still retried in the background."""
        id_ = path_text(request, "id")
        await self._note(request, "events.release", id_)
        done = await interventions.release(self._store, id_, late_ms=self._late_ms)
        if done is None:
            return await self._back(
                id_, "The event is not waiting for its asset, or a worker is busy with it."
            )
        follow_up = "; a follow-up event reports it if it arrives" if done == "with follow-up" else ""
        return await self._back(id_, f"Forwarded without its asset{follow_up}.")

    async def _ordered(self, id_: str, order: Order, done: str) -> Response:
        begun = await operations.begin(self._parts.store, order)
        ended = await operations.finish(self._parts.store, begun.id)
        changed = ended.changed if ended else 0
        return await self._back(
            id_, f"{done}: {changed} deliveries." if changed else "There was nothing to do."
        )

    async def _back(self, id_: str, notice: str) -> Response:
        found = await self._store.transact(identify, id_)
        path = of_generation(*found[0]).removeprefix(HOME) if found else "/generations"
        return self._pages.back(path, notice)


def _wanted(request: Request) -> Filter:
    query = {name: value.replace("\0", "") for name, value in request.query_params.items() if value}
    since = query.get("since")
    moment = read_moment(since, now=datetime.now(UTC)) if since else None
    return Filter(
        state=one_of(request, "state", EVENT_STATES),
        kind=one_of(request, "kind", EVENT_KINDS),
        destination=query.get("destination"),
        error=query.get("error"),
        since_ms=int(moment.timestamp() * 1000) if moment else None,
    )


def _card(read: ReadEvent) -> Card:
    event = normalize(read.body, source=read.event.source)
    prompt = event.data.get("prompt") if isinstance(event, Event) else None
    asset = read.event.asset
    shown = (
        asset.content_type if asset and asset.status == "mirrored" and asset.content_type in SHOWN else None
    )
    return Card(read, prompt if isinstance(prompt, str) else "", shown.partition("/")[0] if shown else None)


def _message(one: EventStory, told: Any) -> dict[str, Any] | None:
    event = normalize(one.body, source=one.event.source)
    if not isinstance(event, Event) or one.event.state != "settled":
        return None
    return envelope(
        event,
        event_id=one.event.id,
        received_ms=one.event.received_ms,
        asset=one.event.asset,
        submission=told,
        traceparent=trace_of(event),
    )
