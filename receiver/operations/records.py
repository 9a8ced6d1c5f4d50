"""What operators find in the store, as records: times readable, no query string of a URL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast, overload

import orjson

from receiver.events import Asset
from receiver.operations import schemas
from receiver.store import Store
from receiver.store.attempts import FILE, LATE_FILE, KeptAttempt, kept_attempts
from receiver.store.filters import Filter
from receiver.store.operations import Operation
from receiver.store.search import (
    FoundBody,
    FoundDelivery,
    FoundEvent,
    body_of_event,
    find_deliveries,
    find_events,
    find_quarantined,
    quarantined_body,
)
from receiver.submissions import Submission
from receiver.telemetry.redact import redact


def delivery_record(found: FoundDelivery) -> schemas.Delivery:
    """Return a delivery."""
    return {
        "event_id": found.event_id,
        "destination": found.destination,
        "state": found.state,
        "attempts": found.attempts,
        "error": _redacted(found.error),
        "due_at": moment(found.due_ms),
        "settled_at": moment(found.settled_ms),
        "is_claimed": found.is_claimed,
        "operation": found.operation,
        "source": found.source,
        "generation_id": found.generation_id,
        "type": found.type,
        "kind": found.kind,
        "received_at": moment(found.received_ms),
    }


def event_record(found: FoundEvent) -> schemas.Event:
    """Return an event."""
    return {
        "id": found.id,
        "source": found.source,
        "generation_id": found.generation_id,
        "type": found.type,
        "kind": found.kind,
        "state": found.state,
        "via": found.via,
        "received_at": moment(found.received_ms),
        "repeats": found.repeats,
        "attempts": found.attempts,
        "error": _redacted(found.error),
        "asset": None if found.asset is None else _asset(found.asset),
        "deliveries": found.deliveries,
    }


def attempt_record(found: KeptAttempt) -> schemas.Attempt:
    """Return a failed attempt."""
    return {
        "number": found.number,
        "at": moment(found.began_ms),
        "took_s": found.took_ms / 1000,
        "error": redact(found.error),
        "said": found.said or None,
    }


def quarantine_record(found: FoundBody) -> schemas.Quarantined:
    """Return a quarantined body, without the body."""
    return {
        "id": found.id,
        "source": found.source,
        "reason": found.reason,
        "state": found.state,
        "received_at": moment(found.received_ms),
        "repeats": found.repeats,
        "size_bytes": found.size_bytes,
        "event_id": found.event_id,
        "operation": found.operation,
    }


def operation_record(found: Operation) -> schemas.Operation:
    """Return an operation."""
    return {
        "id": found.id,
        "kind": found.order.kind,
        "state": found.state,
        "matched": found.matched,
        "changed": found.changed,
        "deliveries": dict(found.deliveries),
        "begun_at": moment(found.begun_ms),
        "touched_at": moment(found.touched_ms),
        "filter": found.order.wanted.to_json(),
        "destinations": list(found.order.destinations),
        "rate": found.order.rate,
    }


def submission_record(found: Submission) -> schemas.Submission:
    """Return a submission."""
    return {
        "client_ref": found.client_ref,
        "kind": found.kind,
        "state": found.state,
        "generation_id": found.generation_id,
        "sent_at": moment(None if found.sent_at is None else int(found.sent_at * 1000)),
        "error": _redacted(found.error),
    }


async def full_event(store: Store, id_: str) -> schemas.FullEvent | None:
    """Return an event with its deliveries, failed attempts and body; None if there is none of that id."""
    page = await store.transact(find_events, Filter(ids=(id_,)))
    if not page.rows:
        return None
    deliveries = await store.transact(find_deliveries, Filter(ids=(id_,)))
    failed = await store.transact(kept_attempts, id_)
    return {
        **event_record(page.rows[0]),
        "failed_attempts": [
            {**attempt_record(one), "is_late": one.destination == LATE_FILE}
            for one in failed
            if one.destination in (FILE, LATE_FILE)
        ],
        "deliveries": [_with_attempts(one, failed) for one in deliveries.rows],
        "body": _body_text(await store.transact(body_of_event, id_)),
    }


async def full_delivery(store: Store, event_id: str, destination: str) -> schemas.FullDelivery | None:
    """Return a delivery with its failed attempts; None if there is none."""
    page = await store.transact(find_deliveries, Filter(ids=(event_id,), destination=destination))
    if not page.rows:
        return None
    return _with_attempts(page.rows[0], await store.transact(kept_attempts, event_id, destination))


async def events_named(store: Store, name: str) -> list[str]:
    """Return the ids of the events that *name* is the id of, or that are about the generation *name*."""
    for wanted in (Filter(ids=(name,)), Filter(generation_id=name)):
        found = [one.id for one in (await store.transact(find_events, wanted)).rows]
        if found:
            return found
    return []


async def full_quarantined(store: Store, id_: str) -> schemas.FullQuarantined | None:
    """Return a quarantined body, body and all; None if there is none of that id."""
    page = await store.transact(find_quarantined, Filter(ids=(id_,)))
    if not page.rows:
        return None
    return {
        **quarantine_record(page.rows[0]),
        "body": _body_text(await store.transact(quarantined_body, id_)),
    }


def body_text(body: bytes) -> str:
    """Return a body as it may be shown: its URLs without query strings, what is no text replaced."""
    try:
        return orjson.dumps(_without_queries(orjson.loads(body))).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # JSON may write a slash with a backslash before it, where no URL would be recognised.
        return redact(body.decode("utf-8", "replace").replace("\\/", "/"))


def _body_text(body: bytes | None) -> str | None:
    """Return a body as it may be shown; None if it was pruned."""
    return body_text(body) if body else None


@overload
def moment(ms: int) -> datetime: ...
@overload
def moment(ms: int | None) -> datetime | None: ...
def moment(ms: int | None) -> datetime | None:
    """Return a time of the store as a time."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def _with_attempts(found: FoundDelivery, failed: Sequence[KeptAttempt]) -> schemas.FullDelivery:
    ours = [attempt_record(one) for one in failed if one.destination == found.destination]
    return {**delivery_record(found), "failed_attempts": ours}


def _asset(asset: Asset) -> schemas.Asset:
    record = asdict(asset)
    record["retried_until"] = moment(record.pop("retried_until_ms"))
    return cast("schemas.Asset", record)


def _without_queries(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_without_queries(one) for one in value]
    if isinstance(value, dict):
        return {redact(name): _without_queries(one) for name, one in value.items()}
    return value


def _redacted(text: str | None) -> str | None:
    return None if text is None else redact(text)
