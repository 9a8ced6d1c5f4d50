"""Sending spans to a collector, as OpenTelemetry's standard variables (`OTEL_…`) say.

A name that is not set is the SDK's own default. Spans wait in a bounded queue for a thread of their own; what
does not fit, or cannot be sent, is lost and logged, and nothing waits for it.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from receiver import __version__, tracing
from receiver.telemetry.logger import Logger
from receiver.telemetry.sampling import Sampler

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = Logger()

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTERS: Final = "OTEL_TRACES_EXPORTER"
_DISABLED: Final = "OTEL_SDK_DISABLED"
_QUIET_S: Final = 600.0
_LAST_SPANS_S: Final = 5.0
"""How long an ending process waits for its last spans to be sent."""


@contextmanager
def exporting(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Trace within the block, if *environ* names a collector and tracing is not set up already.

    A wrong variable or a missing extra is logged and leaves tracing off; it stops no work.
    """
    provider = _start(environ) if _is_wanted(environ) else None
    try:
        yield
    finally:
        if provider is not None:
            _stop(provider)


def _is_wanted(environ: Mapping[str, str]) -> bool:
    return (
        any(environ.get(name) for name in _ENDPOINTS)
        and environ.get(_DISABLED, "").strip().lower() != "true"
        and environ.get(_EXPORTERS, "").strip().lower() != "none"
        # `opentelemetry-instrument receiver serve` did it already.
        and not tracing.is_on()
    )


def _start(environ: Mapping[str, str]) -> "TracerProvider | None":
    try:
        return _set_up(environ)
    except ModuleNotFoundError as error:
        log.warning("tracing is off", error=f"{error.name} is missing: pip install 'avs-receiver[otel]'")
    except Exception as error:  # noqa: BLE001  whatever the SDK thinks of a variable
        log.warning("tracing is off", error=str(error))
    return None


def _set_up(environ: Mapping[str, str]) -> "TracerProvider":
    from opentelemetry import trace  # noqa: PLC0415  only where it is wanted
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    _listen()
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "receiver"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(environ)))
    trace.set_tracer_provider(provider)
    return provider


def _exporter(environ: Mapping[str, str]) -> Any:
    """Return the exporter that the variables name; that for OTLP over HTTP comes with the extra.

    Raises:
        ValueError: no installed package has it.
    """
    wanted = environ.get(_EXPORTERS) or "otlp"
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    name = f"otlp_proto_{protocol.partition('/')[0]}" if wanted == "otlp" else wanted
    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    if not found:
        raise ValueError(
            f"no installed package exports spans as {_EXPORTERS}={wanted} and "
            f"{_PROTOCOLS[1]}={protocol} want it; http/protobuf comes with avs-receiver[otel]"
        )
    return next(iter(found)).load()()


def _listen() -> None:
    """Log the SDK's messages only now and then: it repeats them for every batch."""
    logger = logging.getLogger("opentelemetry")
    logger.handlers[:] = [_Listener(logging.WARNING)]
    logger.propagate = False


class _Listener(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._sampler = Sampler(_QUIET_S, time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        held_back = self._sampler.admit("")
        if held_back is not None:
            log.warning("span export failed", error=record.getMessage(), held_back=held_back)


def _stop(provider: "TracerProvider") -> None:
    """Send the last spans. The SDK would wait half a minute for a collector that does not answer."""
    last = threading.Thread(target=provider.shutdown, daemon=True)
    last.start()
    last.join(_LAST_SPANS_S)
