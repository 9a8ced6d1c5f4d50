"""The console as one application, with a list of its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from receiver import clock
from receiver.admin.answers import Refusal
from receiver.admin.parts import Parts
from receiver.console.destinations import Destinations
from receiver.console.generations import Generations
from receiver.console.guard import STATIC, Guard, Sessions
from receiver.console.history import History
from receiver.console.login import Login
from receiver.console.media import Media
from receiver.console.overview import Overview
from receiver.console.pages import Pages
from receiver.console.queues import Queues
from receiver.console.records import Records
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.rates import Done, count_done

_FILES: Final = Path(__file__).parent / "static"
_PROBLEMS: Final = {
    400: "The request is not valid.",
    404: "Not found. It may have been deleted, or the address is wrong.",
    405: "This page does not support that method.",
    503: "The bucket does not answer.",
}


@asynccontextmanager
async def open_console(parts: Parts, token: str) -> AsyncIterator[ASGIApp]:
    """Build the console for holders of *token*; counting still in progress is cancelled at the end."""
    sessions = Sessions(token)
    pages = Pages(sessions)
    history = History(partial(_count, parts.store), clock.now_ms)
    groups = (
        Login(parts, pages, sessions),
        Overview(parts, pages, history),
        Generations(parts, pages),
        Destinations(parts, pages),
        Queues(parts, pages),
        Records(parts, pages),
        Media(parts, pages),
    )
    app = Starlette(
        routes=[
            *(route for group in groups for route in group.routes()),
            Mount(STATIC.rstrip("/"), StaticFiles(directory=_FILES)),
        ],
        exception_handlers={
            HTTPException: partial(_problem, pages),
            Refusal: partial(_refused, pages),
            StoreUnavailable: partial(_unavailable, pages),
            500: _fault,
        },
    )
    app.router.redirect_slashes = False
    try:
        yield Guard(app, sessions)
    finally:
        await history.aclose()


async def _count(store: Store, since_ms: int, until_ms: int) -> Done:
    return await store.transact(count_done, since_ms=since_ms, until_ms=until_ms)


async def _problem(pages: Pages, request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = _PROBLEMS.get(error.status_code, "The request was refused.")
    return pages.page(request, "problem.html", error.status_code, text=text)


async def _refused(pages: Pages, request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return pages.page(request, "problem.html", error.status, text=str(error))


async def _unavailable(pages: Pages, request: Request, _error: Exception) -> Response:
    text = "The database does not answer, or its schema belongs to another release. See the log."
    if request.headers.get("hx-request") == "true":
        # Part of a page is replaced only by a 200, so that old figures never look new.
        return HTMLResponse(f'<p class="notice" role="alert">{text} This page retries every 5 s.</p>')
    answer = pages.page(request, "problem.html", 503, text=text)
    answer.headers["Retry-After"] = "5"
    return answer


async def _fault(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("This is a bug; see the log.", 500)
