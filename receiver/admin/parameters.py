"""What a request asks for, checked: nothing unknown is overlooked."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

import orjson
from starlette.requests import Request

from receiver.admin.answers import Refusal, invalid
from receiver.events import EVENT_KINDS
from receiver.operations import cursors
from receiver.operations.moments import read_moment
from receiver.states import BODY_STATES, DEAD, DELIVERY_STATES, EVENT_STATES, OPEN, RETRIABLE, SETTLED
from receiver.store.filters import Filter
from receiver.store.operations import DEFAULT_RATE, Kind, Order
from receiver.store.window import Key

MAX_BODY_BYTES: Final = 64 * 1024
MOST_ROWS: Final = 1_000

_TEXTS: Final = ("destination", "state", "error", "source", "kind", "type", "generation_id")
_TIMES: Final = ("since", "until")
_PAGING: Final = ("limit", "cursor", "order")
_ORDER_FIELDS: Final = ("filter", "all", "dry_run", "rate")
_REPLAY_FIELDS: Final = (*_ORDER_FIELDS, "destinations", "missing")
_STATES: Final = {
    "deliveries": DELIVERY_STATES,
    "events": EVENT_STATES,
    "quarantine": BODY_STATES,
}
_ABOUT_EVENT: Final = ("error", "source", "kind", "type", "generation_id")
_ABOUT_BODY: Final = ("state", "error", "source")
_ORDERS: Final[Mapping[str, tuple[Sequence[str], Sequence[str]]]] = {
    "deliveries.retry": (_TEXTS, RETRIABLE),
    "deliveries.drop": (_TEXTS, (DEAD,)),
    "events.replay": (("state", *_ABOUT_EVENT), (SETTLED,)),
    "quarantine.retry": (_ABOUT_BODY, (OPEN,)),
    "quarantine.drop": (_ABOUT_BODY, (OPEN,)),
}
"""What narrows each order down, and the states of what it is carried out on. Anything else in the filter
would be overlooked, and the order carried out on more than was meant."""


def read_listing(request: Request, what: str) -> tuple[Filter, dict[str, Any]]:
    """Return the filter and the paging of a list, from the query: 1 to 1000 rows, by default 100.

    Raises:
        Refusal: 400, a name is not known or a value cannot be read.
    """
    query = request.query_params
    only(query, ("id", *_TEXTS, *_TIMES, *_PAGING))
    if query.get("order", "newest") not in ("newest", "oldest"):
        raise invalid("order must be newest or oldest")
    given: dict[str, Any] = {name: query[name] for name in (*_TEXTS, *_TIMES) if name in query}
    paging = {
        "limit": _limit(query.get("limit", "100")),
        "after": read_cursor(query.get("cursor"), 2 if what == "deliveries" else 1),
        "newest_first": query.get("order", "newest") == "newest",
    }
    return _filter({**given, "ids": query.getlist("id")}, _STATES[what]), paging


async def read_order(request: Request, kind: str, destinations: tuple[str, ...]) -> tuple[Order, bool]:
    """Return what is to be done, and whether only to count it, from the body.

    Raises:
        Refusal: 400, it is no such JSON object, or does not say which rows; 413, it is longer than 64 KiB;
            415, it is compressed.
    """
    assert kind in get_args(Kind)
    body = await read_object(request)
    only(body, _REPLAY_FIELDS if kind == "events.replay" else _ORDER_FIELDS)
    names, states = _ORDERS[kind]
    given = body.get("filter", {})
    if not isinstance(given, dict):
        raise invalid("filter must be an object")
    only(given, ("ids", *names, *_TIMES))
    wanted = _filter(given, states)
    if wanted.is_open and not _flag(body, "all"):
        raise invalid('give a filter, or set "all": true')
    missing = _flag(body, "missing")
    if missing and not body.get("destinations"):
        raise invalid("missing needs destinations: name those that should get events they never got")
    to = _destinations(body, destinations) if kind == "events.replay" else ()
    order = Order(kind, wanted, to, missing, _rate(body))  # type: ignore[arg-type]  # asserted above
    return order, _flag(body, "dry_run")


def path_text(request: Request, name: str) -> str:
    """Return a part of the path. Neither database holds a NUL, and PostgreSQL refuses to look for one."""
    return str(request.path_params[name]).replace("\0", "\N{REPLACEMENT CHARACTER}")


def read_cursor(cursor: str | None, parts: int) -> Key | None:
    """Return the key that *cursor* stands for, which has that many *parts*.

    Raises:
        Refusal: 400, it is none of our making.
    """
    if cursor is None:
        return None
    try:
        return cursors.read_cursor(cursor, parts=parts)
    except ValueError:
        raise invalid("cursor must be the next_cursor of an earlier answer") from None


def write_cursor(key: Key | None) -> str | None:
    """Return the cursor of a key."""
    return None if key is None else cursors.write_cursor(key)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the body, a JSON object, or an empty one where there is no body.

    Raises:
        Refusal: 400, it is none; 413, it is longer than 64 KiB; 415, it is compressed.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "unsupported_encoding", "Send the body without Content-Encoding.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, "payload_too_large", f"A body may have at most {MAX_BODY_BYTES} bytes.")
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise invalid("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise invalid("The body is not an object.")
    return document


def only(given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse names that are not *known*.

    Raises:
        Refusal: 400, there is one.
    """
    for name in given:
        if name not in known:
            raise invalid(f"{name[:100]!r} is not known here; known are {', '.join(known)}")


def _filter(given: Mapping[str, Any], states: Sequence[str]) -> Filter:
    ids = given.get("ids", [])
    if not isinstance(ids, list) or not all(isinstance(id_, str) and "\0" not in id_ for id_ in ids):
        raise invalid("ids must be a list of ids")
    texts = {name: _text(given, name) for name in (*_TEXTS, *_TIMES)}
    if texts["state"] is not None and texts["state"] not in states:
        raise invalid(f"state must be one of {', '.join(states)}")
    if texts["kind"] is not None and texts["kind"] not in EVENT_KINDS:
        raise invalid(f"kind must be one of {', '.join(EVENT_KINDS)}")
    times = {f"{name}_ms": _time(name, texts.pop(name)) for name in _TIMES}
    return Filter(ids=tuple(ids), **texts, **times)  # type: ignore[arg-type]  # names and types are the field's


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise invalid(f"{name}: write text")
    return value


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(read_moment(text, now=datetime.now(UTC)).timestamp() * 1000)
    except ValueError as error:
        raise invalid(f"{name}: {error}") from error


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value


def _rate(body: Mapping[str, Any]) -> float:
    rate = body.get("rate", DEFAULT_RATE)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 0:
        raise invalid("rate must be a number of deliveries per second; 0 sends all at once")
    return float(rate)


def _limit(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_ROWS))
    if not is_number or not 1 <= int(text) <= MOST_ROWS:
        raise invalid(f"limit must be a number from 1 to {MOST_ROWS}")
    return int(text)


def _destinations(body: Mapping[str, Any], configured: tuple[str, ...]) -> tuple[str, ...]:
    names = body.get("destinations", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid("destinations must be a list of names")
    for name in names:
        if name not in configured:
            raise invalid(f"destinations: {name[:100]!r} is not configured")
    if not configured:
        raise invalid("destinations: none is configured")
    return tuple(dict.fromkeys(names)) or configured
