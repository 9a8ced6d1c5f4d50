"""What the API accepts: the document's parameters. A refusal names the parameter."""

import json
import re
from collections.abc import Collection, Mapping
from ipaddress import ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request

from receiver.contract import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from receiver.sandbox.catalogue import BY_ID, Model
from receiver.sandbox.dialect import seconds
from receiver.sandbox.refusals import Refusal

Body = Mapping[str, Any]

_URI: Final = re.compile(r"(?:[\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", re.ASCII)  # RFC 3986
_LONGEST_NUMBER: Final = 18  # the most digits that an offset in a list may have


async def read_object(request: Request) -> Body:
    """Return the JSON object in *request*, or refuse it."""
    try:
        body = json.loads((await request.body()).decode())
    except (ValueError, RecursionError):
        raise Refusal("invalid_request", "The body must be JSON") from None
    if not isinstance(body, dict):
        raise Refusal("invalid_request", "The body must be a JSON object")
    return body


def text(body: Body, field: str) -> str:
    """Return a required string."""
    value = body.get(field)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(field, "must be a non-empty string")
    return value


def choice(body: Body, field: str, allowed: Collection[str], default: str) -> str:
    """Return one of *allowed*, or *default* if it was not given."""
    value = body.get(field, default)
    if not isinstance(value, str) or value not in allowed:
        raise _wrong(field, f"must be one of: {', '.join(allowed)}")
    return value


def only(body: Body, *known: str) -> None:
    """Refuse a body with other fields than *known*."""
    for field in body:
        if field not in known:
            raise _wrong(field, "is not a parameter of this call")


def words(body: Body, field: str, allowed: Collection[str], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return a list of values from *allowed*, or *default* if it was not given."""
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, list) or not value or any(word not in allowed for word in value):
        raise _wrong(field, f"must be a list of: {', '.join(allowed)}")
    return tuple(value)


def addresses(body: Body, field: str, *, networks: bool) -> tuple[str, ...]:
    """Return a list of IP addresses, or also of *networks*; empty if it was not given."""
    value = body.get(field) or []
    if not isinstance(value, list) or not all(_is_address(entry, networks=networks) for entry in value):
        raise _wrong(field, f"must be a list of IP addresses{' or networks' if networks else ''}")
    return tuple(value)


def moment(body: Body, field: str) -> float | None:
    """Return a time in seconds since the epoch if one was given."""
    value = body.get(field)
    if value is None:
        return None
    try:
        return seconds(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(field, "must be a date and time in ISO 8601") from None


def whole_number(body: Body, field: str, allowed: range, default: int, *, forms: str = "integer") -> int:
    """Return a number in *allowed*, or *default* if it was not given.

    *forms* is `integer`, `number` (accepts 5.0), or `string` (accepts "5" too).
    """
    value = body.get(field, default)
    if forms != "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    if forms == "string" and isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:3])
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise _wrong(field, f"must be an integer from {allowed[0]} to {allowed[-1]}")
    return value


def model(body: Body, kind: str, default: str, *, other_kinds: bool = False) -> Model:
    """Return the requested model, which must produce *kind*, unless *other_kinds* are accepted."""
    found = BY_ID.get(choice(body, "model", BY_ID, default))
    if found is None or not (found.type == kind or other_kinds):
        raise _wrong("model", f"does not make a {kind}")
    return found


def optional_url(body: Body, field: str, *, https: bool = False) -> str | None:
    """Return an http or https URL if one was given."""
    return url(body, field, https=https) if body.get(field) is not None else None


def url(body: Body, field: str, *, https: bool = False) -> str:
    """Return an absolute URL; with *https*, plain http is accepted only for this machine."""
    value = text(body, field)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and bool(_URI.fullmatch(value))
    except ValueError:
        usable = False
    if not usable:
        raise _wrong(field, "must be an http or https URL")
    if https and parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise _wrong(field, "must be an HTTPS URL")
    return value


def query_choice(query: QueryParams, field: str, allowed: Collection[str]) -> str | None:
    """Return a filter if one was given."""
    return choice(query, field, allowed, "") if field in query else None


def page(query: QueryParams, *, clamp: bool = False) -> tuple[int, int]:
    """Return limit and offset; with *clamp*, the nearest allowed values."""
    if clamp:
        limit, offset = (
            _nearest_number(query, *field) for field in (("limit", PAGE_SIZE_DEFAULT), ("offset", 0))
        )
        return min(max(limit, 1), PAGE_SIZE_MAX), max(offset, 0)
    limit = _query_number(query, "limit", PAGE_SIZE_DEFAULT)
    if not 1 <= limit <= PAGE_SIZE_MAX:
        raise _wrong("limit", f"must be from 1 to {PAGE_SIZE_MAX}")
    return limit, _query_number(query, "offset", 0)


def _query_number(query: QueryParams, field: str, default: int) -> int:
    value = query.get(field, str(default))
    if not (value.isascii() and value.isdigit()):
        raise _wrong(field, "must be an integer of 0 or more")
    return int(value[:_LONGEST_NUMBER])


def _nearest_number(query: QueryParams, field: str, default: int) -> int:
    try:
        return int(query.get(field, "")[:_LONGEST_NUMBER])
    except ValueError:
        return default


def _is_address(value: Any, *, networks: bool) -> bool:
    try:
        return (
            isinstance(value, str)
            and (networks or "/" not in value)
            and bool(ip_network(value, strict=False))
        )
    except ValueError:
        return False


def _wrong(field: str, problem: str) -> Refusal:
    return Refusal("invalid_request", f"{field} {problem}", field=field)
