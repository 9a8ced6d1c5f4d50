"""The sandbox's own controls, under `/__sandbox__`: for programs on this machine, never for web pages."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.sandbox import bodies, controls
from receiver.sandbox.clock import ManualClock
from receiver.sandbox.letters import Answer
from receiver.sandbox.provider import Provider
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.studio import DEFAULT_REASON

ADMIN_PATH: Final = "/__sandbox__"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Handler = Callable[[Provider, Request], Awaitable[Any]]


def admin_routes(provider: Provider) -> list[Route]:
    """Return the routes of the controls."""
    return [
        Route(ADMIN_PATH + path, _guarded(provider, handler), methods=[method])
        for (method, path), handler in _CONTROLS.items()
    ]


async def get_knobs(provider: Provider, _request: Request) -> Any:
    """`GET /knobs`: the value of every knob."""
    return asdict(provider.state.knobs)


async def turn_knobs(provider: Provider, request: Request) -> Any:
    """`PUT /knobs`: change the given knobs."""
    provider.turn(controls.turned(provider.state.knobs, await bodies.read_object(request)))
    return asdict(provider.state.knobs)


async def get_faults(provider: Provider, _request: Request) -> Any:
    """`GET /faults`: the queued faults."""
    return {name: [asdict(fault) for fault in queue] for name, queue in provider.faults.pending().items()}


async def add_fault(provider: Provider, request: Request) -> Any:
    """`POST /faults`: queue a fault for an operation, once or *times*."""
    queued = controls.queued_fault(await bodies.read_object(request))
    provider.faults.add(queued.operation, queued.fault, queued.times)
    return await get_faults(provider, request)


async def clear_faults(provider: Provider, request: Request) -> Any:
    """`DELETE /faults`: clear all queued faults."""
    provider.faults.clear()
    return await get_faults(provider, request)


async def complete(provider: Provider, request: Request) -> Any:
    """`POST /generations/:id/complete`: finish a generation now."""
    return _settled(provider, request, None)


async def fail(provider: Provider, request: Request) -> Any:
    """`POST /generations/:id/fail`: make a generation fail now, for a *reason*."""
    body = await bodies.read_object(request) if await request.body() else {}
    return _settled(provider, request, bodies.text(body, "reason") if "reason" in body else DEFAULT_REASON)


async def resend(provider: Provider, request: Request) -> Any:
    """`POST /generations/:id/resend`: send the webhooks of a finished generation again."""
    name = request.path_params["id"]
    _attempt(lambda: provider.studio.resend(name))
    return {"id": name, "status": provider.state.generations[name].status}


async def advance(provider: Provider, request: Request) -> Any:
    """`POST /clock`: advance the manual clock by *seconds*."""
    seconds = controls.seconds(await bodies.read_object(request), None)
    clock = provider.given_clock
    if not isinstance(clock, ManualClock):
        raise Refusal("invalid_request", "The clock is the machine's: start the sandbox with --manual-clock")
    clock.advance(seconds)
    return await get_clock(provider, request)


async def get_clock(provider: Provider, _request: Request) -> Any:
    """`GET /clock`: the provider's time, in seconds since the epoch."""
    return {"now": provider.clock.now()}


async def get_journal(provider: Provider, _request: Request) -> Any:
    """`GET /journal`: every request received, and every webhook sent or lost."""
    state = provider.state
    seen, sent = ([asdict(one) for one in rows] for rows in (list(state.seen), list(state.sent)))
    return {"seen": seen, "sent": sent, "lost": list(state.lost)}


_CONTROLS: Final[dict[tuple[str, str], Handler]] = {
    ("GET", "/knobs"): get_knobs,
    ("PUT", "/knobs"): turn_knobs,
    ("GET", "/faults"): get_faults,
    ("POST", "/faults"): add_fault,
    ("DELETE", "/faults"): clear_faults,
    ("POST", "/generations/{id}/complete"): complete,
    ("POST", "/generations/{id}/fail"): fail,
    ("POST", "/generations/{id}/resend"): resend,
    ("GET", "/clock"): get_clock,
    ("POST", "/clock"): advance,
    ("GET", "/journal"): get_journal,
}


def _guarded(provider: Provider, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            _refuse_browsers(request)
            return Answer(await handler(provider, request))
        except Refusal as refusal:
            return refusal.response()

    return endpoint


def _refuse_browsers(request: Request) -> None:
    # A web page can send requests to loopback, with its own Origin. Or it points a name of its own at
    # 127.0.0.1, and sends that name as Host.
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        host = None
    if "origin" in request.headers or host not in _LOOPBACK:
        raise Refusal("forbidden", "The controls are not for web pages", status=HTTPStatus.FORBIDDEN)


def _settled(provider: Provider, request: Request, reason: str | None) -> Any:
    name = request.path_params["id"]
    _attempt(lambda: provider.studio.settle(name, reason))
    return {"id": name, "status": provider.state.generations[name].status}


def _attempt(step: Callable[[], None]) -> None:
    try:
        step()
    except KeyError:
        raise Refusal("not_found", "Requested resource not found") from None
    except ValueError as error:
        raise Refusal("invalid_request", str(error), status=HTTPStatus.CONFLICT) from error
