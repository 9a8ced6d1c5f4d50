"""Parameters of requests, checked here so that a mistake costs no request."""

import ipaddress
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import quote, urlsplit

from receiver.client.errors import InvalidParameter
from receiver.contract import (
    EVENT_TYPES,
    IMAGE_ASPECT_RATIOS,
    IMAGE_FORMATS,
    KINDS,
    PAGE_SIZE_MAX,
    SCOPES,
    STATUSES,
    VIDEO_ASPECT_RATIOS,
    VIDEO_SECONDS,
)


class Omit(Enum):
    """The type of `OMIT`."""

    OMIT = "omit"

    def __repr__(self) -> str:
        return "OMIT"


class Inherit(Enum):
    """The type of `INHERIT`."""

    INHERIT = "inherit"

    def __repr__(self) -> str:
        return "INHERIT"


OMIT: Final = Omit.OMIT
"""Send nothing for this parameter, so that the provider's own default holds."""
INHERIT: Final = Inherit.INHERIT
"""Use the `webhook_url` the client was made with, if any."""


def image_body(
    prompt: str,
    *,
    model: str | Omit = OMIT,
    aspect_ratio: str | Omit = OMIT,
    output_format: str | Omit = OMIT,
    webhook_url: str | None = None,
) -> dict[str, Any]:
    """Return the body of `POST /generate/image`, or refuse it."""
    return _given(
        prompt=_text("prompt", prompt),
        model=_optional(_text, "model", model),
        aspect_ratio=_optional(_one_of(IMAGE_ASPECT_RATIOS), "aspect_ratio", aspect_ratio),
        output_format=_optional(_one_of(IMAGE_FORMATS), "output_format", output_format),
        webhook_url=OMIT if webhook_url is None else _web_url("webhook_url", webhook_url),
    )


def video_body(
    prompt: str,
    *,
    model: str | Omit = OMIT,
    aspect_ratio: str | Omit = OMIT,
    duration: int | Omit = OMIT,
    first_frame_image: str | Omit = OMIT,
    webhook_url: str | None = None,
) -> dict[str, Any]:
    """Return the body of `POST /generate/video`, or refuse it."""
    return _given(
        prompt=_text("prompt", prompt),
        model=_optional(_text, "model", model),
        aspect_ratio=_optional(_one_of(VIDEO_ASPECT_RATIOS), "aspect_ratio", aspect_ratio),
        duration=_optional(_seconds, "duration", duration),
        first_frame_image=_optional(_web_url, "first_frame_image", first_frame_image),
        webhook_url=OMIT if webhook_url is None else _web_url("webhook_url", webhook_url),
    )


def webhook_body(*, url: str | Omit = OMIT, events: Iterable[str] | Omit | None = OMIT) -> dict[str, Any]:
    """Return the body that creates or changes a webhook, or refuse it."""
    return _given(
        url=_optional(_callback_url, "url", url),
        events=OMIT if events is None else _optional(_event_list, "events", events),
    )


def api_key_body(
    name: str,
    *,
    scopes: Iterable[str] | Omit = OMIT,
    ip_allowlist: Iterable[str] | Omit = OMIT,
    expires_at: datetime | str | Omit = OMIT,
) -> dict[str, Any]:
    """Return the body that creates an API key, or refuse it."""
    return _given(
        name=_text("name", name),
        scopes=_optional(_scope_list, "scopes", scopes),
        ip_allowlist=_optional(_network_list, "ip_allowlist", ip_allowlist),
        expires_at=_optional(_moment, "expires_at", expires_at),
    )


def page_query(
    *, kind: str | None, status: str | None, limit: int, offset: int
) -> tuple[tuple[str, str], ...]:
    """Return the query of `GET /generations`, or refuse it."""
    query = [*kind_query(kind)]
    if status is not None:
        query.append(("status", _one_of(STATUSES)("status", status)))
    query.append(("limit", str(_integer("limit", limit, 1, PAGE_SIZE_MAX))))
    if _integer("offset", offset, 0, None):
        query.append(("offset", str(offset)))
    return tuple(query)


def kind_query(kind: str | None) -> tuple[tuple[str, str], ...]:
    """Return the `type` filter, or refuse it."""
    return () if kind is None else (("type", _one_of(KINDS)("type", kind)),)


def path_segment(id_: str) -> str:
    """Return *id_* as exactly one segment of a path.

    Raises:
        InvalidParameter: it is not text, or is blank, `.` or `..`.
    """
    if _text("id", id_) in {".", ".."}:
        raise InvalidParameter("id", "is not an id")
    return quote(id_, safe="")


def is_loopback(host: str | None) -> bool:
    """Whether *host* means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not OMIT}


def _optional(check: Any, name: str, value: Any) -> Any:
    return OMIT if value is OMIT else check(name, value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidParameter(name, f"must be a string, not {type(value).__name__}")
    if not value.strip():
        raise InvalidParameter(name, "must not be empty")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidParameter(name, "contains a lone surrogate, which is not text")
    return value


def _one_of(allowed: Collection[str]) -> Any:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InvalidParameter(name, f"must be one of {', '.join(allowed)}; not {value!r}")
        return value

    return check


def _integer(name: str, value: object, low: int, high: int | None) -> int:
    inside = isinstance(value, int) and not isinstance(value, bool) and low <= value
    if not inside or (high is not None and isinstance(value, int) and value > high):
        limits = f"from {low} to {high}" if high is not None else f"of {low} or more"
        raise InvalidParameter(name, f"must be a whole number {limits}; not {value!r}")
    assert isinstance(value, int)
    return value


def _seconds(name: str, value: object) -> int:
    return _integer(name, value, VIDEO_SECONDS[0], VIDEO_SECONDS[-1])


def _web_url(name: str, value: object) -> str:
    url = _text(name, value)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidParameter(name, "must be an http or https URL")
    return url


def _callback_url(name: str, value: object) -> str:
    url = _web_url(name, value)
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname):
        raise InvalidParameter(
            name, "must be https: the provider accepts nothing else for registered webhooks"
        )
    return url


def _listed(name: str, value: object) -> Iterable[object]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidParameter(name, "must be a list")
    return value


def _scope_list(name: str, value: object) -> list[str]:
    scopes = [_one_of(SCOPES)(name, scope) for scope in _listed(name, value)]
    if not scopes:
        raise InvalidParameter(name, "must name at least one scope; leave it out to mean read")
    return scopes


def _network_list(name: str, value: object) -> list[str]:
    return [_network(name, network) for network in _listed(name, value)]


def _network(name: str, value: object) -> str:
    network = _text(name, value)
    try:
        ipaddress.ip_network(network, strict=False)
    except ValueError:
        raise InvalidParameter(name, f"holds {network!r}, which is not an IP address or network") from None
    return network


def _moment(name: str, value: object) -> str:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(_text(name, value))
    except ValueError:
        raise InvalidParameter(name, "must be an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise InvalidParameter(name, "must include its offset from UTC")
    return moment.isoformat() if isinstance(value, datetime) else str(value)


def _event_list(name: str, value: object) -> list[str]:
    events = [_one_of(EVENT_TYPES)(name, event) for event in _listed(name, value)]
    if not events:
        raise InvalidParameter(name, "must name at least one event; leave it out to mean all")
    return events
