"""Builds the webhook that should have come, from a row of the provider's list."""

import json
from collections.abc import Collection, Iterable

from receiver import events
from receiver.client import Generation
from receiver.contract import COMPLETED, FAILED
from receiver.receive import entry_of
from receiver.store import Entry

VIA = "reconcile"


def event_type(row: Generation) -> str:
    """Return the event type that matches the end of *row*."""
    return COMPLETED if row.status == "completed" else FAILED


def missing(rows: Iterable[Generation], known: Collection[tuple[str, str]]) -> list[Generation]:
    """Return the finished *rows* whose event is not in *known*. A completion is final."""
    return [
        row
        for row in rows
        if row.finished and not {(row.id, COMPLETED), (row.id, event_type(row))} & set(known)
    ]


def has_asset_url(row: Generation) -> bool:
    """Whether *row* says where its file is, unless it has no file."""
    return row.status != "completed" or row.output_url is not None


def webhook_body(row: Generation) -> bytes:
    """Write the webhook for the end of *row*, as the provider would."""
    data = {**row.raw, "id": row.id, "status": row.status}
    body = {"event": event_type(row), "data": data, "created_at": row.raw.get("completed_at")}
    # The standard library writes anything it can read: lone surrogates, numbers of any length.
    return json.dumps(body).encode()


def entry(row: Generation, *, source: str, now_ms: int, entropy: bytes) -> Entry:
    """Build the entry to record for *row*; a webhook that we could not read is quarantined, as always."""
    body = webhook_body(row)
    read = events.normalize(body, source=source)
    return entry_of(read, body, source=source, now_ms=now_ms, entropy=entropy, via=VIA)
