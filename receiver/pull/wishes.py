"""What a consumer's request asks for, checked: nothing unknown is overlooked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from receiver.admin.answers import invalid
from receiver.admin.parameters import only, path_text, read_object
from receiver.store.future import LONGEST_WAIT_MS
from receiver.store.pull import Held
from receiver.telemetry.redact import redact

MOST_MESSAGES: Final = 100
_DEFAULT_MESSAGES: Final = 10
LONGEST_POLL_S: Final = 60.0
_LONGEST_S: Final = LONGEST_WAIT_MS / 1000
_MOST_IDS: Final = 1_000
_MOST_ERROR_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class LeaseWish:
    """How many messages are wanted, for how long, and how long to wait for the first. Times in seconds."""

    most: int
    visibility_s: float
    wait_s: float


async def read_lease(request: Request, *, visibility_s: float) -> LeaseWish:
    """Read the wish for messages: 1 to 100, by default 10, for *visibility_s*, without waiting.

    Raises:
        Refusal: the body is no such JSON object.
    """
    body = await read_object(request)
    only(body, ("max", "visibility_s", "wait_s"))
    most = body.get("max", _DEFAULT_MESSAGES)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_MESSAGES:
        raise invalid(f"max: write a whole number from 1 to {MOST_MESSAGES}")
    visible = _seconds(body, "visibility_s", otherwise=visibility_s, above=0, at_most=_LONGEST_S)
    return LeaseWish(most, visible, _seconds(body, "wait_s", otherwise=0, at_most=LONGEST_POLL_S))


async def read_acknowledgement(request: Request) -> Held | None:
    """Read which messages are done with; None for an answer without messages.

    Raises:
        Refusal: the body is no such JSON object.
    """
    body = await read_object(request)
    only(body, ("lease", "ids"))
    return _held(request, body)


async def read_extension(request: Request, *, visibility_s: float) -> tuple[Held | None, float]:
    """Read which messages are to be held, and for how many more seconds from now on.

    Raises:
        Refusal: the body is no such JSON object.
    """
    body = await read_object(request)
    only(body, ("lease", "ids", "visibility_s"))
    longer_s = _seconds(body, "visibility_s", otherwise=visibility_s, above=0, at_most=_LONGEST_S)
    return _held(request, body), longer_s


async def read_return(request: Request) -> tuple[Held | None, float, str]:
    """Read which messages are given back, after how many seconds they are due, and why.

    Raises:
        Refusal: the body is no such JSON object.
    """
    body = await read_object(request)
    only(body, ("lease", "ids", "delay_s", "error"))
    error = body.get("error", "given back by its consumer")
    if not isinstance(error, str):
        raise invalid("error: write text")
    delay_s = _seconds(body, "delay_s", otherwise=0, at_most=_LONGEST_S)
    return _held(request, body), delay_s, redact(error)[:_MOST_ERROR_CHARS]


def _held(request: Request, body: Mapping[str, Any]) -> Held | None:
    lease, ids = body.get("lease"), body.get("ids")
    if "lease" not in body or not isinstance(lease, str | None):
        raise invalid("lease: write what an answer gave as lease")
    is_list = isinstance(ids, list) and len(ids) <= _MOST_IDS and all(isinstance(one, str) for one in ids)
    if ids is not None and not is_list:
        raise invalid(f"ids: write a list of at most {_MOST_IDS} ids of messages")
    if lease is None:
        return None
    return Held(path_text(request, "destination"), _plain(lease), ids and [_plain(one) for one in ids])


def _plain(text: str) -> str:
    """Return *text* as any database can look for it: what is no character is in no id."""
    return text.encode("ascii", "replace").decode().replace("\0", "?")


def _seconds(
    body: Mapping[str, Any], name: str, *, otherwise: float, at_most: float, above: float = -math.inf
) -> float:
    value = body.get(name, otherwise)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not max(0, above) <= value <= at_most or value == above:
        least = "above 0" if above == 0 else "from 0"
        raise invalid(f"{name}: write seconds, {least} to {at_most:g}")
    return float(value)
