"""Spans: one trace for each generation, computed from the generation's id.

The ids of the trace and of its root span are digests of the generation's id. So nothing is stored, looked up
or passed on. The requesting program, web and worker processes, and a replay months later all agree. A sampler
that uses the trace's id decides the same in each.

Spans are created when the work is over, so none can delay it. OpenTelemetry is used only if the process has
set it up. If not, the check costs one dictionary lookup.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from receiver import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span, SpanContext

Kind = Literal["CLIENT", "INTERNAL", "PRODUCER", "SERVER"]
Attributes = Mapping[str, str | int]

_SDK: Final = "opentelemetry.sdk.trace"
_LONGEST_MS: Final = 30 * 24 * 3600 * 1000
"""No generation takes longer: an earlier start is a mistake."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A piece of work that has just ended."""

    name: str
    kind: Kind
    began_ms: int
    attributes: Attributes
    error: str | None = None
    """A word for what went wrong, from a small fixed set."""
    why: str = ""
    """One line about it: no secret, no query string."""


def is_on() -> bool:
    """Whether this process has set up OpenTelemetry."""
    return _SDK in sys.modules and _provider() is not None


def traceparent(generation_id: str) -> str | None:
    """Return the root of a generation's trace as W3C Trace Context writes it; None while tracing is off.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    if (provider := _provider()) is None:
        return None
    with suppress(Exception):
        root = _root(provider, generation_id)
        return f"00-{root.trace_id:032x}-{root.span_id:016x}-{int(root.trace_flags):02x}"
    return None


def tell(generation_id: str, ended: Ended) -> None:
    """Add the ended work to the trace of a generation. Never raises."""
    if (provider := _provider()) is None:
        return
    with suppress(Exception):  # tracing must never be a reason to fail
        root = _root(provider, generation_id)
        if root.trace_flags.sampled:
            _end(_tracer(provider).start_span, ended, generation_id, context=_below(root))


def tell_generation(generation_id: str, ended: Ended, *, created_at: object) -> None:
    """Report a generation as the root of its trace. Never raises.

    It began at *created_at*, RFC 3339 in UTC or with an offset. If that cannot be true, it began when the
    event that *ended* it arrived.
    """
    if (provider := _provider()) is None:
        return
    with suppress(Exception):
        root = _root(provider, generation_id)
        if root.trace_flags.sampled:
            whole = replace(ended, began_ms=_created_ms(created_at, ended.began_ms))
            _end(_pinned(provider, root), whole, generation_id, context=_nowhere())


class PaidPost:
    """A paid POST in progress."""

    generation_id: str | None = None
    """The generation that it became, once known."""


@contextmanager
def posting(kind: str, url: str) -> Iterator[PaidPost]:
    """Trace the paid POST to *url* that is sent within the block.

    If answered with a generation, it belongs to that generation's trace, and is linked with the caller's span
    in both directions. If refused or in doubt, it is part of the caller's trace.
    """
    post, began_ms = PaidPost(), time.time_ns() // 1_000_000
    try:
        yield post
    except BaseException as error:
        _tell_post(post, _posted(kind, url, began_ms, type(error).__name__))
        raise
    _tell_post(post, _posted(kind, url, began_ms, None))


def _posted(kind: str, url: str, began_ms: int, error: str | None) -> Ended:
    parts, path = urlsplit(url), f"/generate/{kind}"
    attributes: dict[str, str | int] = {
        "http.request.method": "POST",
        "server.address": parts.hostname or "",
        "server.port": parts.port or (80 if parts.scheme == "http" else 443),
        "url.full": url,
        "url.template": path,
    }
    return Ended(f"POST {path}", "CLIENT", began_ms, attributes, error)


def _tell_post(post: PaidPost, ended: Ended) -> None:
    if (provider := _provider()) is None:
        return
    with suppress(Exception):
        from opentelemetry import trace  # noqa: PLC0415  only where it is set up

        caller, start = trace.get_current_span(), _tracer(provider).start_span
        if post.generation_id is None:
            _end(start, ended, None)
            return
        root = _root(provider, post.generation_id)
        links = [trace.Link(caller.get_span_context())] if caller.get_span_context().is_valid else []
        span = _end(start, ended, post.generation_id, context=_below(root), links=links)
        caller.add_link(span.get_span_context())


def _end(
    start: Callable[..., "Span"],
    ended: Ended,
    generation_id: str | None,
    *,
    context: "Context | None" = None,
    links: "list[Link] | None" = None,
) -> "Span":
    """Create the span of the ended work, as a child of *context*."""
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

    about = {"receiver.generation.id": generation_id} if generation_id else {}
    failed = {"error.type": ended.error} if ended.error else {}
    span = start(
        ended.name,
        context=context,
        kind=SpanKind[ended.kind],
        attributes={**about, **ended.attributes, **failed},
        links=links,
        start_time=ended.began_ms * 1_000_000,
    )
    if ended.error:
        span.set_status(Status(StatusCode.ERROR, ended.why or None))
    span.end(max(time.time_ns(), ended.began_ms * 1_000_000))
    return span


def _provider() -> "TracerProvider | None":
    """Return this process's tracer provider, if it is the SDK's and not a placeholder."""
    sdk: Any = sys.modules.get(_SDK)
    if sdk is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415

    with suppress(Exception):
        found = trace.get_tracer_provider()
        return found if isinstance(found, sdk.TracerProvider) else None
    return None


@lru_cache(maxsize=1)
def _tracer(provider: "TracerProvider") -> Any:
    return provider.get_tracer("receiver", __version__)


# Whatever the sampler depends on, it is asked once for each generation in progress.
@lru_cache(maxsize=4096)
def _root(provider: "TracerProvider", generation_id: str) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    digest = sha256(f"receiver generation {generation_id}".encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    sampled = provider.sampler.should_sample(None, trace_id, "generate").decision.name == "RECORD_AND_SAMPLE"
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)


def _below(parent: "SpanContext") -> "Context":
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context  # noqa: PLC0415

    return set_span_in_context(NonRecordingSpan(parent), _nowhere())


def _nowhere() -> "Context":
    from opentelemetry.context import Context  # noqa: PLC0415

    return Context()


class _Ids:
    """Gives a span the ids of a root when the SDK asks for them."""

    def __init__(self, root: "SpanContext") -> None:
        self._root = root

    def generate_trace_id(self) -> int:
        return self._root.trace_id

    def generate_span_id(self) -> int:
        return self._root.span_id

    def is_trace_id_random(self) -> bool:
        return False


def _pinned(provider: "TracerProvider", root: "SpanContext") -> Callable[..., "Span"]:
    """Return a function that starts one span with the ids of *root*."""
    tracer = copy(_tracer(provider))
    tracer.id_generator = _Ids(root)
    start: Callable[..., Span] = tracer.start_span
    return start


def _created_ms(created_at: object, received_ms: int) -> int:
    """Return when a generation began according to its event; the time of receipt if that cannot be true."""
    try:
        began = datetime.fromisoformat(str(created_at))
        began_ms = int(began.timestamp() * 1000)
    except (ValueError, OverflowError):
        return received_ms
    return began_ms if began.tzinfo and 0 <= received_ms - began_ms <= _LONGEST_MS else received_ms
