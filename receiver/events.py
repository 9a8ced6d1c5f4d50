"""Events: what a verified body says, and the CloudEvents message made of it.

Nothing here reads the clock or does I/O. An event is derived from its stored body whenever it is needed,
so a better reading of an old body needs no migration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, TypeGuard

import orjson

from receiver import contract, documents

TYPE_PREFIX: Final = "co.aivisualstudio."
SOURCE_PREFIX: Final = "urn:aivisualstudio:"
DATA_SCHEMA: Final = "urn:aivisualstudio:generation-event:1"
ASSET_MIRRORED: Final = "generation.asset_mirrored"
"""Our own type: the asset arrived after its completion had been forwarded without it."""
OUR_TYPES: Final = frozenset((ASSET_MIRRORED,))
"""Event types that only we send. A provider must not be able to speak in our name."""
OPERATOR: Final = "receiver.operator."
"""The prefix of operator event types. They are about this service, not about a generation."""
OPERATOR_TYPES: Final = tuple(
    OPERATOR + word
    for word in (
        *("destination_down", "destination_back", "bucket_down", "bucket_back"),
        *("asset_host_down", "asset_host_back", "backlog_old", "backlog_gone", "worker_gone", "worker_back"),
        *("disk_low", "disk_freed", "dead_letters", "quarantined", "secret_unused", "credits_low"),
    )
)
OPERATOR_SOURCE: Final = "receiver"
UNKNOWN_KIND: Final = "unknown"
"""The kind of a generation whose event names none, or one that we do not know."""
EVENT_KINDS: Final = (*contract.KINDS, UNKNOWN_KIND)

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_MAX_ERROR_CHARS: Final = 2_000
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_000
"""The years 1 to 9999, the limits of `datetime`."""

AssetStatus = Literal["mirrored", "failed"]


class Event(NamedTuple):
    """One verified fact about one generation, as the provider sent it.

    Made for every delivery, so a named tuple: a frozen dataclass takes four times as long.
    """

    source: str
    generation_id: str
    """`[A-Za-z0-9_.:-]{1,128}`, a number as its digits; the only part of a body that we use as a key."""
    type: str
    """The provider's type, such as `generation.completed`; unknown types are kept unchanged."""
    data: dict[str, Any]
    """The body's `data` object, unchecked but for its id."""
    sent_at: object = None
    """The body's own `created_at`, whatever JSON value that is."""

    @property
    def kind(self) -> str:
        """`image`, `video`, or `unknown`."""
        kind = self.data.get("type")
        return kind if kind in contract.KINDS else UNKNOWN_KIND

    @property
    def output_url(self) -> object:
        """Whatever JSON value the body has there; the URL gate judges it."""
        return self.data.get("output_url")

    @property
    def expects_asset(self) -> bool:
        """Whether there is an asset to mirror; always true for a completed generation."""
        return self.type == contract.COMPLETED or isinstance(self.output_url, str)

    def occurred_at(self, received_ms: int) -> str:
        """Return when it happened, RFC 3339 in UTC: the body's time, else the time of receipt."""
        times = (self.sent_at, self.data.get("completed_at"), self.data.get("created_at"))
        usable = (time for value in times if (time := _canonical_time(value)))
        return next(usable, None) or _format(utc_time(received_ms))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A genuine body that does not say which generation it is about."""

    reason: str
    """`not_json`, `not_an_object`, `no_event_type`, `no_data` or `no_generation_id`.

    Also `reserved_event_type`, if a sender used one of our types."""


@dataclass(frozen=True, slots=True)
class Asset:
    """The final result for an event's asset."""

    status: AssetStatus
    url: str | None = None
    """`s3://bucket/key` or `file:///path`, when mirrored."""
    content_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    """Pixels of a mirrored image, if its header says so."""
    height: int | None = None
    duration_s: float | None = None
    """Seconds of a mirrored video, if its container says so cheaply."""
    error: str | None = None
    """Stable code of the reason, when failed."""
    retried_until_ms: int | None = None
    """Until then it may still arrive, and `ASSET_MIRRORED` would report it. None if it was given up
    permanently."""


def operator_body(subject: str, event_type: str, facts: Mapping[str, Any], *, now_ms: int) -> bytes:
    """Return the body of an operator event about *subject*, an identifier; *facts* are its data."""
    data = {**facts, "id": subject}
    return orjson.dumps({"event": event_type, "data": data, "created_at": _time(now_ms)})


def normalize(body: bytes, *, source: str) -> Event | Unreadable:
    """Read a verified *body*.

    Pass exactly the bytes that verified. If we parsed another form, an attacker could choose the id.
    """
    try:
        return _read(orjson.loads(body), source)
    except orjson.JSONDecodeError:
        pass
    try:
        event = _read(documents.read(body), source)
    except ValueError:
        event = None
    # Parse invalid JSON leniently only to find the event that it may still hold.
    return event if isinstance(event, Event) else Unreadable("not_json")


def _read(document: Any, source: str) -> Event | Unreadable:
    if not isinstance(document, dict):
        return Unreadable("not_an_object")
    event_type, data = document.get("event"), document.get("data")
    if not _is_identifier(event_type):
        return Unreadable("no_event_type")
    if not isinstance(data, dict):
        return Unreadable("no_data")
    generation_id = data.get("id")
    if type(generation_id) is int:
        generation_id = str(generation_id)  # as the client reads it
    if not _is_identifier(generation_id):
        return Unreadable("no_generation_id")
    if document.get("error") and _failure(data) is None:
        data = {**data, "error": document["error"]}
    return Event(
        source=source,
        generation_id=generation_id,
        type=event_type,
        data=data,
        sent_at=document.get("created_at"),
    )


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return documents.read(body)


def reread(body: bytes, *, source: str) -> Event:
    """Read the body of a stored event again.

    Raises:
        TypeError: it cannot be read, although only readable bodies are stored.
    """
    event = normalize(body, source=source)
    if isinstance(event, Unreadable):
        raise TypeError(f"a stored event cannot be read: {event.reason}")
    return event


def follow_up(body: bytes, *, now_ms: int) -> bytes:
    """Return the body of the event that reports a late asset: the completion's, with our type and time.

    *body* is that of a stored completion, which was read before.
    """
    return orjson.dumps({**_parse(body), "event": ASSET_MIRRORED, "created_at": _time(now_ms)})


def event_id(unix_ms: int, entropy: bytes) -> str:
    """Make a UUIDv7 of a time in milliseconds and ten random bytes.

    Source: https://www.rfc-editor.org/rfc/rfc9562#section-5.7
    """
    head = unix_ms.to_bytes(6, "big")
    version = 0x70 | (entropy[0] & 0x0F)
    variant = 0x80 | (entropy[2] & 0x3F)
    text = (head + bytes((version, entropy[1], variant)) + entropy[3:10]).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(received_ms: int) -> str:
    """Return the lowest possible id of an event received at this time, in milliseconds."""
    return event_id(max(received_ms, 0), bytes(10))


def event_ms(event_id: str) -> int:
    """Return the time in an id, in milliseconds."""
    return int(event_id.replace("-", "")[:12], 16)


def utc_time(unix_ms: int) -> datetime:
    """Return a time in milliseconds as a `datetime`; one out of range becomes the first or last possible."""
    return datetime.fromtimestamp(min(max(unix_ms, _FIRST_MS), _LAST_MS) / 1000, UTC)


def envelope(
    event: Event,
    *,
    event_id: str,
    received_ms: int,
    asset: Asset | None,
    submission: Mapping[str, object] | None = None,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """Build the message of an event: a CloudEvents 1.0 envelope.

    The same stored event, asset, *submission* (`client_ref` and `metadata`) and *traceparent* always give the
    same one.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md and, for the
    last, https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
    """
    is_operators = event.type.startswith(OPERATOR)
    about = {} if is_operators else {"dataschema": DATA_SCHEMA}
    traced = {"traceparent": traceparent} if traceparent else {}
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE_PREFIX + event.source,
        "type": TYPE_PREFIX + event.type,
        "subject": event.generation_id,
        "time": event.occurred_at(received_ms),
        "datacontenttype": "application/json",
        **about,
        **traced,
        "data": _operator_data(event) if is_operators else _message_data(event, asset, submission),
    }


def _message_data(
    event: Event, asset: Asset | None, submission: Mapping[str, object] | None
) -> dict[str, Any]:
    data = event.data
    return {
        "generation_id": event.generation_id,
        "kind": event.kind,
        "status": _text(data.get("status")),
        "prompt": _text(data.get("prompt")),
        "error": None if event.type in (contract.COMPLETED, ASSET_MIRRORED) else _failure(data),
        "created_at": _text(data.get("created_at")),
        "completed_at": _text(data.get("completed_at")),
        "asset": asset and _asset_data(asset, _text(event.output_url)),
        "submission": submission,
    }


def _operator_data(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.data.items() if name != "id"}


def _asset_data(asset: Asset, source_url: str | None) -> dict[str, Any]:
    return {
        "status": asset.status,
        "url": asset.url,
        "content_type": asset.content_type,
        "size_bytes": asset.size_bytes,
        "sha256": asset.sha256,
        "width": asset.width,
        "height": asset.height,
        "duration_s": asset.duration_s,
        "error": asset.error,
        "retried_until": _time(asset.retried_until_ms),
        "source_url": source_url,
    }


def _failure(data: dict[str, Any]) -> dict[str, str | None] | None:
    """Find why a generation failed, in every natural place: the document shows no failed payload."""
    for name in ("error", "error_message", "failure_reason", "message"):
        found = data.get(name)
        if isinstance(found, str) and found:
            return {"code": None, "message": found[:_MAX_ERROR_CHARS]}
        if isinstance(found, dict):
            message = _text(found.get("message"))
            return {"code": _text(found.get("code")), "message": message and message[:_MAX_ERROR_CHARS]}
    return None


def _is_identifier(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _canonical_time(value: object) -> str | None:
    """Return *value* as RFC 3339 in UTC, or None unless it is a time with an offset."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return _format(moment) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _time(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else _format(utc_time(unix_ms))


def _format(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
