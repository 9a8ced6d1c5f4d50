"""Groups of pages, and their templates: everything is escaped, and nothing from outside becomes a link."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import orjson
import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from receiver import clock
from receiver.admin.deeds import note
from receiver.admin.parts import Parts
from receiver.console.guard import HOME, Sessions
from receiver.operations.records import body_text, moment
from receiver.telemetry.redact import redact

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_NONE: Final = "\N{EN DASH}"
_SIZES: Final = ("B", "kB", "MB", "GB", "TB")

NAVIGATION: Final = (
    ("", "Overview"),
    ("/generations", "Generations"),
    ("/destinations", "Destinations"),
    ("/dead-letters", "Dead letters"),
    ("/quarantine", "Quarantine"),
    ("/operations", "Operations"),
    ("/submissions", "Submissions"),
    ("/settings", "Settings"),
    ("/audit", "Audit log"),
)


log = structlog.get_logger()


class Pages:
    """Renders templates for one session at a time."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._environment = Environment(
            loader=PackageLoader("receiver.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            when=when,
            exact=exact,
            span=span,
            size=size,
            plain=redact,
            body=body,
            document=document,
        )
        self._environment.globals.update(
            navigation=NAVIGATION, home=HOME, link=link, of_generation=of_generation
        )

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:
        """Render *template* for the session of *request*."""
        session = request.state.session
        text = self._environment.get_template(template).render(
            session=session,
            csrf=session.csrf if session else "",
            path=request.url.path.removeprefix(HOME),
            notice=self._sessions.read_notice(request.query_params.get("notice")),
            **context,
        )
        return HTMLResponse(text, status)

    def back(self, path: str, notice: str) -> Response:
        """Redirect to a page of ours, which shows *notice*."""
        joined = "&" if "?" in path else "?"
        signed = urlencode({"notice": self._sessions.write_notice(notice)})
        return RedirectResponse(f"{HOME}{path}{joined}{signed}", 303)


def exact(ms: int) -> str:
    """Format a time as a clock shows it."""
    return f"{moment(ms):%Y-%m-%d %H:%M:%S} UTC"


def when(ms: int | None) -> Markup:
    """Format a time as an age, with the exact time as its title."""
    if ms is None:
        return escape(_NONE)
    machine = moment(ms).isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, exact(ms), _relative(ms))


def _relative(ms: int) -> str:
    seconds = (clock.now_ms() - ms) / 1000
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float | None) -> str:
    """Format a duration in its largest unit, or two if the first is small."""
    if seconds is None:
        return _NONE
    whole = round(seconds)
    for place, (length, unit) in enumerate(_UNITS):
        if whole >= length:
            first, rest = divmod(whole, length)
            smaller = _UNITS[place + 1 :][:1]
            second = rest // smaller[0][0] if smaller else 0
            return f"{first} {unit} {second} {smaller[0][1]}" if second and first < 10 else f"{first} {unit}"  # noqa: PLR2004
    return "0 s"


def size(count: float | None) -> str:
    """Format a number of bytes."""
    if count is None:
        return _NONE
    for unit in _SIZES[:-1]:
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_SIZES[-1]}"


def body(content: bytes) -> str:
    """Format a stored body for people: indented if it is JSON, its URLs without query strings."""
    return document(content, indent=True)


def document(value: bytes | Mapping[str, Any], *, indent: bool = True) -> str:
    """Format a JSON document for people."""
    text = body_text(value if isinstance(value, bytes) else orjson.dumps(value))
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2 if indent else None).decode()
    except orjson.JSONDecodeError:
        return text


def link(path: str, **query: str) -> str:
    """Build a link to a page of ours. Foreign names go into the query: no path contains `..` or a slash."""
    return f"{HOME}{path}?{urlencode(query)}"


def of_generation(source: str, generation_id: str) -> str:
    """Build the link to the page of a generation."""
    return link(f"/generations/{source}", id=generation_id)


Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Response]])


def get(path: str) -> Callable[[Handler], Handler]:
    """Declare a method as the handler for GET of a *path* in the console."""
    return _declare(path, "GET")


def post(path: str) -> Callable[[Handler], Handler]:
    """Declare a method as the handler for POST to a *path* in the console."""
    return _declare(path, "POST")


def _declare(path: str, verb: str) -> Callable[[Handler], Handler]:
    def declare(handler: Handler) -> Handler:
        handler.route = (HOME + path, verb)  # type: ignore[attr-defined]  # read by `Group.routes`
        return handler

    return declare


class Group:
    """The handlers of related pages."""

    def __init__(self, parts: Parts, pages: Pages) -> None:
        self._parts = parts
        self._store = parts.store
        self._pages = pages

    def routes(self) -> list[Route]:
        """Return the route of every handler."""
        declared = {name: getattr(method, "route", None) for name, method in vars(type(self)).items()}
        return [
            Route(route[0], getattr(self, name), methods=[route[1]])
            for name, route in declared.items()
            if route
        ]

    async def _note(self, request: Request, what: str, on: str = "", *, who: str | None = None) -> None:
        """Record in the audit log that the user of *request* does *what*."""
        await note(self._store, request, what, on, who=who or request.state.session.who)
