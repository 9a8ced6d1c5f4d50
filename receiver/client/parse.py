"""From the provider's JSON to results, accepting every reading its document leaves open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from receiver.client.results import (
    ApiKey,
    ApiKeyList,
    Generation,
    GenerationPage,
    Model,
    ModelList,
    Webhook,
    WebhookEvent,
    WebhookList,
)

T = TypeVar("T")
R = TypeVar("R", Generation, Model, Webhook, ApiKey)

_LIST_KEYS = ("data", "items", "results", "generations", "models", "webhooks", "keys", "api_keys")
_OBJECT_KEYS = ("data", "generation", "model", "webhook", "api_key", "key", "result")
_ERROR_KEYS = ("error", "error_message", "failure_reason", "message")
_SECRET_KEYS = ("secret", "signing_secret", "webhook_secret")
_API_KEY_KEYS = ("key", "api_key", "secret", "token")
_TOTAL_KEYS = ("total", "total_count", "count")
_PAGING_KEYS = ("meta", "pagination", "paging", "data")
_MILLISECONDS_FROM = 1e11


class Malformed(ValueError):
    """A JSON answer without the expected object."""


class Misdirected(Malformed):
    """An answer about a different object."""


class Named(Protocol):
    """Has a provider's id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


N = TypeVar("N", bound=Named)


@dataclass(frozen=True, slots=True)
class About(Generic[N]):
    """Parses an answer that must be about the object with this id."""

    id: str
    read: Callable[[Any], N]

    def __call__(self, payload: Any) -> N:
        """Return the result, if it is about that object."""
        found = self.read(payload)
        if found.id != self.id:
            raise Misdirected(f"an answer about {found.id!r}, not about {self.id!r}")
        return found


def generation(payload: Any) -> Generation:
    """Read one generation, bare or wrapped."""
    raw = _object(payload, Generation)
    return _read(Generation, raw, status=_text(raw.get("status")) or "processing", error=_failure(raw))


def accepted(payload: Any) -> Generation:
    """Read the answer to an order.

    Raises:
        Malformed: it is an error whose id may be anything's, such as the request's.
    """
    made = generation(payload)
    said = payload.get("error") or made.raw.get("error")
    if said and not _text(made.raw.get("status")):
        raise Malformed(f"an error beside the id {made.id!r}")
    return made


def generations(payload: Any) -> GenerationPage:
    """Read one page of generations."""
    return GenerationPage(_rows(payload, generation), _total(payload), payload)


def model(payload: Any) -> Model:
    """Read one model."""
    return _read(Model, _object(payload, Model))


def models(payload: Any) -> ModelList:
    """Read the list of models."""
    return ModelList(_rows(payload, model), _total(payload), payload)


def webhook(payload: Any) -> Webhook:
    """Read one webhook, with its secret wherever the provider may have put it."""
    raw = _object(payload, Webhook)
    return _read(Webhook, raw, secret=_first_text(_SECRET_KEYS, raw, payload))


def webhooks(payload: Any) -> WebhookList:
    """Read the list of webhooks."""
    return WebhookList(_rows(payload, webhook), payload)


def event(payload: Any) -> WebhookEvent:
    """Read the body of a webhook delivery.

    Raises:
        Malformed: it names no event, or no generation.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("event"), str):
        raise Malformed("a delivery without an event name")
    raw = dict(_object(payload.get("data", payload), Generation))
    if _failure(raw) is None:
        raw["error"] = payload.get("error")
    return WebhookEvent(payload["event"], generation(raw), _time(payload.get("created_at")), payload)


def api_key(payload: Any) -> ApiKey:
    """Read one API key, whole if it is shown."""
    raw = _object(payload, ApiKey)
    return _read(ApiKey, raw, key=_first_text(_API_KEY_KEYS, raw, payload))


def api_keys(payload: Any) -> ApiKeyList:
    """Read the list of API keys."""
    return ApiKeyList(_rows(payload, api_key), payload)


def nothing(_payload: Any) -> None:
    """Read nothing: any body will do."""


def _object(payload: Any, kind: type[R]) -> Mapping[str, Any]:
    """Return the object that has most fields of *kind*: what wraps it may have an id too."""
    candidates = [payload]
    if isinstance(payload, dict):
        candidates += [payload.get(key) for key in _OBJECT_KEYS]
    named = list(filter(_has_id, candidates))
    if not named:
        raise Malformed("no object with an id")
    known = {one.name for one in fields(kind)}
    return max(named, key=lambda candidate: len(known & candidate.keys()))


def _has_id(candidate: Any) -> bool:
    if not isinstance(candidate, dict):
        return False
    name = candidate.get("id")
    return (isinstance(name, str) and bool(name)) or (isinstance(name, int) and not isinstance(name, bool))


def _rows(payload: Any, read: Callable[[Any], T]) -> tuple[T, ...]:
    rows = _array(payload)
    # A row without an id must not hide the others. If no row has one, we misread the list.
    readable = [row for row in rows if _has_id(row)]
    if rows and not readable:
        raise Malformed("a list without an id in it")
    return tuple(read(row) for row in readable)


def _array(payload: Any) -> list[Any]:
    if isinstance(payload, list):
        return payload
    if not isinstance(payload, dict):
        raise Malformed("no list")
    for key in _LIST_KEYS:
        if isinstance(payload.get(key), list):
            return list(payload[key])
    if isinstance(payload.get("data"), dict):
        return _array(payload["data"])
    raise Malformed("no list")


def _total(payload: Any) -> int | None:
    if not isinstance(payload, dict):
        return None
    holders = [payload, *(payload[key] for key in _PAGING_KEYS if isinstance(payload.get(key), dict))]
    found = (_count(holder.get(key)) for holder in holders for key in _TOTAL_KEYS)
    return next((total for total in found if total is not None), None)


def _failure(raw: Mapping[str, Any]) -> str | None:
    for key in _ERROR_KEYS:
        found = raw.get(key)
        if isinstance(found, dict):
            found = found.get("message") or found.get("code")
        if isinstance(found, str) and found:
            return found
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _first_text(keys: tuple[str, ...], *holders: Any) -> str | None:
    found = (_text(holder.get(key)) for holder in holders if isinstance(holder, dict) for key in keys)
    return next(filter(None, found), None)


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return read if read.tzinfo else read.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


_READERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    str | None: _text,
    tuple[str, ...]: _texts,
    int | None: _count,
    datetime | None: _time,
}


def _read(kind: type[R], raw: Mapping[str, Any], **known: Any) -> R:
    """Return *raw* as this *kind* of result: each field that is not *known* by the reader of its type."""
    known |= {"id": str(raw["id"]), "raw": raw}
    unknown = [one for one in fields(kind) if one.name not in known]
    return kind(**known, **{one.name: _READERS[one.type](raw.get(one.name)) for one in unknown})
