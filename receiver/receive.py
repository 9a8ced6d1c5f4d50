"""Start here: from a raw delivery to a durable event.

    verify → read → record

Every delivery takes these steps in this order, and is answered only after the last. `receiver.mirror` has
what happens to the event next.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal, NamedTuple, assert_never

from receiver import events, tracing
from receiver.assets.guard import asset_host
from receiver.contract import FAILED, SIGNATURE_HEADER, SIGNATURE_TOLERANCE_S
from receiver.events import OPERATOR, OUR_TYPES, Event, Unreadable
from receiver.signatures import verify
from receiver.store.record import Duplicate, Entry, Late, NewEvent, NewQuarantine, Recorded, RecordResult
from receiver.telemetry import metrics

Status = Literal["accepted", "duplicate", "late", "quarantined"]
Record = Callable[[Entry], Awaitable[RecordResult]]

_STATUS: Final[dict[type[RecordResult], Status]] = {
    Recorded: "accepted",
    Duplicate: "duplicate",
    Late: "late",
}

# Cached for each source and secret: the lookup costs more than the count.
_verified: Final = cache(metrics.VERIFIED.labels)
_skew: Final = cache(metrics.SKEW.labels)
_deliveries: Final = cache(metrics.DELIVERIES.labels)


@dataclass(frozen=True, slots=True)
class Source:
    """One provider account."""

    name: str
    """The last segment of its webhook URL."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """Signing secrets, newest first; a delivery signed with any of them is genuine."""
    signature_header: str = SIGNATURE_HEADER
    mode: Literal["auto", "raw"] = "auto"
    """`raw` accepts only signatures over the bytes as received; `auto` also over their JSON.stringify
    form."""


class Receipt(NamedTuple):
    """The outcome of a genuine delivery. By now it is on disk."""

    status: Status
    event_id: str
    """The event's id; for a duplicate the first one's, for a quarantined delivery its own."""
    generation_id: str | None
    reason: str | None = None
    """Why it was quarantined."""


def read_delivery(
    signature: Sequence[bytes], body: bytes, *, source: Source, now: float, entropy: bytes
) -> Entry:
    """Verify and read one delivery; return what to record.

    *signature* holds all values of the source's signature header, as received. *now* is in seconds since the
    epoch, *entropy* ten random bytes.

    Raises:
        SignatureError: it is not genuine; nothing is to be written.
    """
    verified = verify(
        signature, body, secrets=source.secrets, now=now, tolerance_s=SIGNATURE_TOLERANCE_S, mode=source.mode
    )
    _verified(source.name, verified.via, verified.secret).inc()
    _skew(source.name).observe(now - verified.timestamp)
    read = events.normalize(verified.body, source=source.name)
    return entry_of(read, verified.body, source=source.name, now_ms=int(now * 1000), entropy=entropy)


async def record_delivery(entry: Entry, record: Record) -> Receipt:
    """Record the result of reading a delivery; return after the commit.

    Raises:
        StoreUnavailable: nothing was promised; the sender must try again.
    """
    result = await record(entry)
    if isinstance(entry, NewQuarantine):
        receipt = Receipt("quarantined", result.id, None, entry.reason)
    else:
        receipt = Receipt(_STATUS[type(result)], result.id, entry.generation_id)
    _deliveries(entry.source, receipt.status).inc()
    if tracing.is_on() and isinstance(entry, NewEvent):
        _trace(entry, receipt)
    return receipt


def _trace(entry: NewEvent, receipt: Receipt) -> None:
    """Trace a recorded delivery. The trace that its sender names is ignored.

    Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    """
    attributes: tracing.Attributes = {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/webhooks/{source}",
        "receiver.source": entry.source,
        "receiver.event.id": receipt.event_id,
        "receiver.event.type": entry.type,
        "receiver.outcome": receipt.status,
    }
    if receipt.status == "accepted":
        trace_generation(entry)
    ended = tracing.Ended("POST /webhooks/{source}", "SERVER", entry.received_ms, attributes)
    tracing.tell(entry.generation_id, ended)


def trace_generation(entry: NewEvent) -> None:
    """Trace the generation whose end *entry* is the first to report."""
    event = events.reread(entry.body, source=entry.source)
    attributes: tracing.Attributes = {"receiver.source": event.source, "receiver.event.type": event.type}
    error = event.type if event.type == FAILED else None
    ended = tracing.Ended(f"generate {event.kind}", "INTERNAL", entry.received_ms, attributes, error)
    tracing.tell_generation(event.generation_id, ended, created_at=event.data.get("created_at"))


def entry_of(
    read: Event | Unreadable, body: bytes, *, source: str, now_ms: int, entropy: bytes, via: str = "webhook"
) -> Entry:
    """Return the row to record for a body that was *read*.

    Types that only we send are quarantined: they would pass for our own events, and block those.
    """
    new_id = events.event_id(now_ms, entropy)
    if isinstance(read, Event) and (read.type in OUR_TYPES or read.type.startswith(OPERATOR)):
        read = Unreadable("reserved_event_type")
    match read:
        case Event():
            host = asset_host(read.output_url) if read.expects_asset else None
            return NewEvent(
                new_id, source, read.generation_id, read.type, host, body, via, now_ms, read.expects_asset
            )
        case Unreadable(reason):
            digest = hashlib.sha256(body).hexdigest()
            return NewQuarantine(new_id, source, digest, reason, body, now_ms)
        case _:
            assert_never(read)
