"""Knobs and faults, as JSON for the admin routes and as words for the command line."""

import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, get_args, get_type_hints

from receiver.sandbox import bodies
from receiver.sandbox.dialect import switches
from receiver.sandbox.faults import Fault, FaultKind
from receiver.sandbox.provider import OPERATION_NAMES
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Knobs

KNOB_NAMES: Final = tuple(field.name for field in fields(Knobs))
FAULT_KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
_AT_LEAST: Final = {"rate_limit": 1}
"""Knobs for which 0 makes no sense."""
_FAULT_PARTS: Final = ("operation", "kind", "status", "code", "seconds", "times")
_MEANT_BY_VALUE: Final = {"status": "status", "latency": "seconds", "stall": "seconds"}
"""What `503` means in `status=503`, for each kind of fault that takes a value."""
_WORDS: Final = {"yes": True, "no": False, "none": None}
_ALIASES: Final = {"true": "yes", "false": "no", "": "none"}


@dataclass(frozen=True, slots=True)
class QueuedFault:
    """A fault, and the calls it applies to."""

    operation: str
    fault: Fault
    times: int


def turned(knobs: Knobs, changes: Mapping[str, Any]) -> Knobs:
    """Return *knobs* with *changes*; if one is wrong, refuse all."""
    for name, value in changes.items():
        _check_name(name, KNOB_NAMES, "knob", field=name)
        _check_knob(name, value)
    return replace(knobs, **{name: _plain(value) for name, value in changes.items()})


def queued_fault(body: bodies.Body) -> QueuedFault:
    """Parse the fault that *body* describes, or refuse it."""
    for name in body:
        _check_name(name, _FAULT_PARTS, "part of a fault", field=name)
    operation, kind = (bodies.text(body, name) for name in ("operation", "kind"))
    _check_name(operation, OPERATION_NAMES, "operation", field="operation")
    _check_name(kind, FAULT_KINDS, "kind of fault", field="kind")
    fault = Fault(
        kind,  # type: ignore[arg-type]  # one of these words
        status=bodies.whole_number(body, "status", range(400, 600), 500),
        code=bodies.text(body, "code") if "code" in body else None,
        seconds=seconds(body, 0.0),
    )
    return QueuedFault(operation, fault, bodies.whole_number(body, "times", range(1, 10_001), 1))


def seconds(body: bodies.Body, default: float | None) -> float:
    """Return a number of seconds, or *default* if it was not given."""
    value = body.get("seconds", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:  # noqa: PLR2004  # 31 years
        raise Refusal("invalid_request", "seconds must be a number of 0 or more", field="seconds")
    return float(value)


def knob_in_words(text: str) -> tuple[str, Any]:
    """Parse `loss_rate=0.5`, `refund_failures=yes`, `webhook_retries_s=1,2` or `asset_ttl_s=none`."""
    name, value = _pair(text, "loss_rate=0.5")
    _check_name(name, KNOB_NAMES, "knob", field=name)
    read: Any = value if _words(name) else _value(value)
    if isinstance(getattr(Knobs(), name), tuple):
        read = [_value(each) for each in value.split(",")] if value else []
    _check_knob(name, read)
    return name, _plain(read)


def switch_in_words(text: str) -> tuple[str, Any]:
    """Parse `order=oldest_first` or `extra_fields=yes`, spelled as in docs/sandbox.md."""
    name, value = _pair(text, "order=oldest_first")
    all_switches = switches()
    _check_name(name, all_switches, "switch", field=name)
    readings = {_spelled(reading): reading for reading in all_switches[name]}
    spelled = value if value in readings else _ALIASES.get(value, value)
    if spelled not in readings:
        raise Refusal("invalid_request", f"{name} must be one of: {', '.join(readings)}")
    return name, readings[spelled]


def fault_in_words(text: str) -> QueuedFault:
    """Parse `generate.image:status=503,times=2` or `asset.get:stall=5`."""
    operation, colon, rest = text.partition(":")
    if not colon:
        raise Refusal(
            "invalid_request", f"{text!r} does not say what goes wrong, as in generate.image:status=503"
        )
    kind, *parts = rest.split(",")
    kind, given, value = kind.partition("=")
    body: dict[str, Any] = {"operation": operation, "kind": kind}
    if given and kind in FAULT_KINDS:
        if kind not in _MEANT_BY_VALUE:
            raise Refusal("invalid_request", f"{kind} has no value, so not {value!r}")
        body[_MEANT_BY_VALUE[kind]] = _value(value)
    pairs = (_pair(part, "times=2") for part in parts)
    return queued_fault({**body, **{name: _value(value) for name, value in pairs}})


def _check_name(name: str, known: Collection[str], what: str, *, field: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
    raise Refusal("invalid_request", f"there is no {what} {name!r}; {advice}", field=field)


def _check_knob(name: str, value: Any) -> None:
    """Refuse a value of the wrong type."""
    hint, words = get_type_hints(Knobs)[name], _words(name)
    if words:
        fits, wanted = value in words, f"one of: {', '.join(words)}"
    elif name.endswith("retries_s"):
        fits = isinstance(value, list) and all(_is_amount(each) for each in value)
        wanted = "a list of numbers of 0 or more"
    elif hint is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif name.endswith("_rate"):
        fits, wanted = _is_amount(value) and value <= 1, "a number from 0 to 1"
    elif hint is int:
        least = _AT_LEAST.get(name, 0)
        fits, wanted = _is_amount(value, whole=True, least=least), f"a whole number of {least} or more"
    else:
        fits = _is_amount(value) or (value is None and type(None) in get_args(hint))
        wanted = "a number of 0 or more"
    if not fits:
        raise Refusal("invalid_request", f"{name} cannot be {value!r}, it must be {wanted}", field=name)


def _words(knob: str) -> tuple[str, ...]:
    """Return the words that *knob* accepts; none if it takes another type."""
    values = get_args(get_type_hints(Knobs)[knob])
    return values if all(isinstance(value, str) for value in values) else ()


def _is_amount(value: Any, *, whole: bool = False, least: float = 0) -> bool:
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value < 1e12  # noqa: PLR2004  # enough


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _pair(text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Refusal("invalid_request", f"{text!r} must be NAME=VALUE, as in {example}")
    return name, value


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _spelled(reading: Any) -> str:
    return {True: "yes", False: "no"}[reading] if isinstance(reading, bool) else str(reading) or "none"
