"""Routing: which events a destination gets, and what part of them.

    choose: types → kinds → sources → filter      once, when the event's asset is settled
    encode: projection                            on every attempt, to the same bytes

Both depend only on the event: they read no clock and wait for nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import orjson
import structlog

from receiver.contract import EVENT_TYPES
from receiver.destinations.options import option, read_options, setting
from receiver.errors import ConfigError
from receiver.events import (
    ASSET_MIRRORED,
    EVENT_KINDS,
    OPERATOR,
    OPERATOR_SOURCE,
    OPERATOR_TYPES,
    TYPE_PREFIX,
    Event,
    envelope,
    reread,
)
from receiver.expressions import Expression, Found, NotApplicable, compile_expression
from receiver.store.fanout import Candidate, Route
from receiver.telemetry import metrics

_ALL_OPERATOR_TYPES: Final = OPERATOR.rstrip(".")
_TYPES: Final = (*EVENT_TYPES, ASSET_MIRRORED, _ALL_OPERATOR_TYPES, *OPERATOR_TYPES)

log = structlog.get_logger()


def _any_of(accepted: Collection[str] | None = None, *, prefix: str = "") -> Callable[[str], frozenset[str]]:
    """Return a reader of comma-separated words, each of them *accepted*, with or without *prefix*."""

    def read(text: str) -> frozenset[str]:
        words = frozenset(word.strip().removeprefix(prefix) for word in text.split(","))
        if "" in words or (accepted is not None and not words.issubset(accepted)):
            names = ", ".join(accepted) if accepted else "names"
            raise ValueError(f"one or more of these, separated by commas: {names}")
        return words

    return read


@dataclass(frozen=True, slots=True)
class Routing:
    """What one destination wants: options of every destination. By default it gets everything."""

    types: frozenset[str] = option(_any_of(_TYPES, prefix=TYPE_PREFIX), frozenset())
    """Empty: all about generations. Operator events go only to destinations that name them."""
    kinds: frozenset[str] = option(_any_of(EVENT_KINDS), frozenset())
    """Empty: all."""
    sources: frozenset[str] = option(_any_of(), frozenset())
    """Empty: all."""
    filter: Expression | None = option(compile_expression, None)  # noqa: RUF009  a dataclass field
    """True for the messages that are wanted; applied to the whole envelope."""
    projection: Expression | None = option(compile_expression, None)  # noqa: RUF009  a dataclass field
    """Turns the message's `data` into the `data` that is sent."""

    @property
    def chooses(self) -> bool:
        """Whether any event may be unwanted."""
        return bool(self.types or self.kinds or self.sources or self.filter)

    def fits(self, event: Event) -> bool:
        """Whether type, kind and source are wanted; operator events have neither kind nor source."""
        if event.type.startswith(OPERATOR):
            return not self.types.isdisjoint((event.type, _ALL_OPERATOR_TYPES))
        return (
            (not self.types or event.type in self.types)
            and (not self.kinds or event.kind in self.kinds)
            and (not self.sources or event.source in self.sources)
        )

    @property
    def is_for_operators(self) -> bool:
        """Whether any operator event is wanted."""
        return any(one.startswith(_ALL_OPERATOR_TYPES) for one in self.types)

    def filter_holds(self, message: Mapping[str, Any], *, destination: str) -> bool:
        """Whether the filter matches *message*.

        If it cannot be applied, it matches: an extra message can be skipped, a missing one is lost.
        """
        return self.filter is None or _holds(self.filter, message, destination=destination)

    def encode(self, message: Mapping[str, Any], *, destination: str) -> bytes | NotApplicable:
        """Write *message* as this destination gets it: structured JSON, UTF-8, one line."""
        if self.projection is None:
            return orjson.dumps(message)
        made = _project(self.projection, message)
        if isinstance(made, bytes):
            return made
        metrics.NOT_APPLICABLE.labels(destination, "projection").inc()
        return NotApplicable(f"{setting(destination, 'projection')} cannot be applied: {made.reason}")


EVERYTHING: Final = Routing()
_OPTIONS: Final = frozenset(one.name for one in fields(Routing))


def take(name: str, options: Mapping[str, str]) -> tuple[Routing, dict[str, str]]:
    """Read what the destination called *name* wants; return it, and the remaining *options*.

    Raises:
        ConfigError: an expression, a type or a kind is wrong; the message names the setting and the place.
    """
    ours = {key: text for key, text in options.items() if key.lower() in _OPTIONS}
    rest = {key: text for key, text in options.items() if key not in ours}
    return read_options(Routing, name, ours), rest


def check_sources(name: str, routing: Routing, sources: Collection[str]) -> None:
    """Refuse a destination called *name* that wants sources other than *sources*.

    Raises:
        ConfigError: it names an unknown source.
    """
    unknown = routing.sources.difference(sources)
    if unknown:
        raise ConfigError(
            f"{setting(name, 'sources')} names {', '.join(sorted(unknown))}, which is not a source;"
            f" the sources are: {', '.join(sorted(sources))}"
        )


class Router:
    """Decides which destinations an event goes to. See `receiver.store.fanout.Route`."""

    def __init__(self, routings: Mapping[str, Routing]) -> None:
        self._routings = routings
        self._chooses = any(one.chooses for one in routings.values())

    def __call__(self, candidate: Candidate, names: Sequence[str]) -> Sequence[str]:
        """Return those of *names* that want the event; all of them if that cannot be decided."""
        if not self._chooses and candidate.job.source != OPERATOR_SOURCE:
            return names
        try:
            wanted = {name: self._routings.get(name, EVERYTHING) for name in names}
            event = reread(candidate.job.body, source=candidate.job.source)
            fitting = [name for name in names if wanted[name].fits(event)]
            if candidate.attribution.held or all(wanted[name].filter is None for name in fitting):
                return fitting
            message = _message(candidate, event)
            return [name for name in fitting if wanted[name].filter_holds(message, destination=name)]
        except Exception:
            log.exception("routing failed; forwarded everywhere", event_id=candidate.job.id)
            return names


def narrowed(route: Route, chosen: Expression) -> Route:
    """Return *route* limited to messages that *chosen* matches, by what is known of them now."""

    def narrow(candidate: Candidate, names: Sequence[str]) -> Sequence[str]:
        wanted = route(candidate, names)
        message = (
            _message(candidate, reread(candidate.job.body, source=candidate.job.source)) if wanted else {}
        )
        return [name for name in wanted if _holds(chosen, message, destination=name)]

    return narrow


def _message(candidate: Candidate, event: Event) -> dict[str, Any]:
    job = candidate.job
    return envelope(
        event,
        event_id=job.id,
        received_ms=job.received_ms,
        asset=candidate.asset,
        submission=candidate.submission,
    )


def _holds(condition: Expression, message: Mapping[str, Any], *, destination: str) -> bool:
    found = condition.search(message)
    if isinstance(found, Found):
        return found.is_true
    metrics.NOT_APPLICABLE.labels(destination, "filter").inc()
    log.warning(
        "filter failed; forwarded anyway",
        event_id=message["id"],
        generation_id=message["subject"],
        destination=destination,
        error=found.reason,
    )
    return True


def _project(projection: Expression, message: Mapping[str, Any]) -> bytes | NotApplicable:
    found = projection.search(message["data"])
    if isinstance(found, NotApplicable):
        return found
    # The result no longer has the schema.
    kept = {name: value for name, value in message.items() if name != "dataschema"}
    try:
        return orjson.dumps({**kept, "data": found.value})
    except TypeError:
        return NotApplicable("JSON cannot hold its result")
