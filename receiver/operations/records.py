"""Store rows as records for operators: times are readable, and URLs have no query string."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast, overload

import orjson
from sqlalchemy import Connection

from receiver import clock
from receiver.events import utc_time
from receiver.operations import schemas
from receiver.operations.next_try import Circumstances, Configured, circumstances, next_delivery
from receiver.store import Store
from receiver.store.attempts import FILE, LATE_FILE, KeptAttempt, kept_attempts
from receiver.store.filters import Filter
from receiver.store.operations import Operation
from receiver.store.search import (
    FoundDelivery,
    FoundEvent,
    body_of_event,
    find_deliveries,
    find_events,
    find_quarantined,
    quarantined_body,
)
from receiver.store.window import Key, Page
from receiver.submissions import Submission
from receiver.telemetry.redact import redact

Shape = TypeVar("Shape")

_TIMES: Final = (datetime, datetime | None)


def record(kind: type[Shape], found: object, /, **given: object) -> Shape:
    """Return *found* as one of `schemas`. Everything not in *given* has the same name in both.

    Except that a time `<name>`, or `<name>_at`, is stored as `<name>_ms`, and an `error` loses the queries of
    its URLs.
    """
    shape = {
        name: given[name] if name in given else _field(found, name, is_time=hint in _TIMES)
        for name, hint in kind.__annotations__.items()
    }
    return cast("Shape", shape)


def _field(found: object, name: str, *, is_time: bool) -> object:
    if is_time:
        return moment(getattr(found, f"{name.removesuffix('_at')}_ms"))
    value = getattr(found, name)
    return redact(value) if value and name == "error" else value


def event_record(found: FoundEvent) -> schemas.Event:
    """Return an event."""
    return record(schemas.Event, found, asset=found.asset and record(schemas.Asset, found.asset))


def operation_record(found: Operation) -> schemas.Operation:
    """Return an operation."""
    order = found.order
    about = {"kind": order.kind, "rate": order.rate, "destinations": list(order.destinations)}
    counts = dict(found.deliveries)
    return record(schemas.Operation, found, **about, filter=order.wanted.to_json(), deliveries=counts)


def submission_record(found: Submission) -> schemas.Submission:
    """Return a submission."""
    sent_ms = None if found.sent_at is None else int(found.sent_at * 1000)
    return record(schemas.Submission, found, sent_at=moment(sent_ms))


def attempt_record(found: KeptAttempt) -> schemas.Attempt:
    """Return a failed attempt."""
    at, took_s = moment(found.began_ms), found.took_ms / 1000
    return record(schemas.Attempt, found, at=at, took_s=took_s, said=found.said or None)


def delivery_record(found: FoundDelivery, seen: Circumstances) -> schemas.Delivery:
    """Return a delivery, and when it is tried next."""
    soon = next_delivery(found, seen)
    return record(schemas.Delivery, found, next_try_at=moment(soon.at_ms), waits_for=soon.waits_for)


class Deliveries:
    """Finds deliveries page by page, along with what holds them up at that moment."""

    def __init__(self, configured: Configured) -> None:
        self._configured = configured
        self._seen = Circumstances(0)

    def find(self, connection: Connection, /, wanted: Filter, **reach: Any) -> Page[FoundDelivery]:
        """Find a page of deliveries."""
        self._seen = circumstances(connection, self._configured, now_ms=clock.now_ms())
        return find_deliveries(connection, wanted, **reach)

    def record(self, found: FoundDelivery) -> schemas.Delivery:
        """Return the record of a delivery on the page found last."""
        return delivery_record(found, self._seen)


async def full_event(store: Store, id_: str, configured: Configured) -> schemas.FullEvent | None:
    """Return an event with its deliveries, failed attempts and body; None if there is no such event."""
    page = await store.transact(find_events, Filter(ids=(id_,)))
    if not page.rows:
        return None
    deliveries = Deliveries(configured)
    found = await store.transact(deliveries.find, Filter(ids=(id_,)))
    failed = await store.transact(kept_attempts, id_)
    return {
        **event_record(page.rows[0]),
        "failed_attempts": [
            {**attempt_record(one), "is_late": one.destination == LATE_FILE}
            for one in failed
            if one.destination in (FILE, LATE_FILE)
        ],
        "deliveries": [_with_attempts(deliveries.record(one), failed) for one in found.rows],
        "body": _body_text(await store.transact(body_of_event, id_)),
    }


async def full_delivery(
    store: Store, event_id: str, destination: str, configured: Configured
) -> schemas.FullDelivery | None:
    """Return a delivery with its failed attempts; None if there is none."""
    deliveries = Deliveries(configured)
    page = await store.transact(deliveries.find, Filter(ids=(event_id,), destination=destination))
    if not page.rows:
        return None
    failed = await store.transact(kept_attempts, event_id, destination)
    return _with_attempts(deliveries.record(page.rows[0]), failed)


async def events_named(store: Store, name: str) -> list[str]:
    """Return the ids of the events that *name* identifies, as an event id or a generation id."""
    for wanted in (Filter(ids=(name,)), Filter(generation_id=name)):
        found = [one.id for one in (await store.transact(find_events, wanted)).rows]
        if found:
            return found
    return []


async def full_quarantined(store: Store, id_: str) -> schemas.FullQuarantined | None:
    """Return a quarantined body in full; None if there is no such body."""
    page = await store.transact(find_quarantined, Filter(ids=(id_,)))
    if not page.rows:
        return None
    return {
        **record(schemas.Quarantined, page.rows[0]),
        "body": _body_text(await store.transact(quarantined_body, id_)),
    }


def body_text(body: bytes) -> str:
    """Return a body in displayable form: URLs without query strings, invalid text replaced."""
    try:
        return orjson.dumps(_without_queries(orjson.loads(body))).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # JSON may escape a slash with a backslash, and then no URL would be recognised.
        return redact(body.decode("utf-8", "replace").replace("\\/", "/"))


def _body_text(body: bytes | None) -> str | None:
    """Return a body in displayable form; None if it was pruned."""
    return body_text(body) if body else None


@overload
def moment(ms: int) -> datetime: ...
@overload
def moment(ms: int | None) -> datetime | None: ...
def moment(ms: int | None) -> datetime | None:
    """Convert a time of the store."""
    return None if ms is None else utc_time(ms)


def _with_attempts(one: schemas.Delivery, failed: Sequence[KeptAttempt]) -> schemas.FullDelivery:
    ours = [attempt_record(each) for each in failed if each.destination == one["destination"]]
    return {**one, "failed_attempts": ours}


def _without_queries(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_without_queries(one) for one in value]
    if isinstance(value, dict):
        return {redact(name): _without_queries(one) for name, one in value.items()}
    return value


_SEPARATOR: Final = "/"
_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Every key begins with such an id."""


def read_cursor(text: str, *, parts: int) -> Key:
    """Return the key that *text* encodes, with that many *parts*.

    Raises:
        ValueError: we did not make it, or it has a NUL, which neither database can look for.
    """
    key = tuple(text.split(_SEPARATOR))
    if len(key) != parts or not _ID.fullmatch(key[0]) or not all(key) or "\0" in text:
        raise ValueError(f"{text!r} is not a cursor from an earlier list")
    return key


def write_cursor(key: Key) -> str:
    """Encode a key as a cursor."""
    return _SEPARATOR.join(map(str, key))
