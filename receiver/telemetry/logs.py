"""Logging: one line per fact, for people on a terminal and as JSON everywhere else.

Lines of libraries (uvicorn, alembic, botocore) pass through the same redaction and renderer.
"""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO, cast

import orjson
import structlog

from receiver.telemetry.redact import redact_event
from receiver.telemetry.tick_buffer import TickBuffer

_LINE: Final = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE

LogFormat = Literal["auto", "console", "json"]

_QUIET: Final = ("httpx2", "httpcore2", "botocore", "boto3", "urllib3", "alembic", "uvicorn")
"""Libraries whose information lines repeat ours or carry whole URLs."""
_SILENT: Final = ("aiormq", "confluent_kafka", "nats")
"""Libraries that log, as errors, each refused connection that an outcome of ours already reports."""


_json_lines: TextIO | None = None
"""Where lines go that are written as JSON without structlog; None: through structlog."""
_processors: list[Any] = []
"""What structlog was given; a test may exchange what is in it."""


def info(event: str, **values: str | int) -> None:
    """Log one line in the busiest path there is: structlog costs more than verifying a delivery.

    Nothing is redacted: *values* are ids, and names from the settings.
    """
    if _json_lines is None or _processors[-1] is not _to_json:
        structlog.get_logger().info(event, **values)
    else:
        line = {"timestamp": datetime.now(UTC), "level": "info", "event": event, **values}
        _json_lines.write(orjson.dumps(line, option=_LINE).decode())


def configure(*, level: str = "INFO", log_format: LogFormat = "auto", stream: TextIO | None = None) -> None:
    """Send all logging to *stream* (default: standard error), from now on."""
    stream = stream or sys.stderr
    lines = cast("TextIO", TickBuffer(stream))
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    # Tracebacks as plain text, before the redaction: the richer forms print local variables.
    prepare: list[Any] = [structlog.processors.format_exc_info, redact_event]
    render: Any = _to_json
    if console:
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        prepare = [structlog.stdlib.add_log_level, stamp, *prepare]
        render = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    global _json_lines, _processors  # noqa: PLW0603  logging is one thing for the process, as structlog's own configuration is
    _processors = [*prepare, render]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(lines),
        cache_logger_on_first_use=True,
    )
    _json_lines = None if console or logging.getLevelName(level) > logging.INFO else lines
    _adopt_libraries(prepare, render, level, stream)


def _adopt_libraries(prepare: list[Any], render: Callable[..., str], level: str, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=prepare, processors=[strip, render])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _to_json(_logger: Any, method: str, event: Any) -> str:
    level = "error" if method == "exception" else method
    first = {"timestamp": datetime.now(UTC), "level": level, "event": event.pop("event")}
    try:
        return orjson.dumps(first | event, default=repr, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # lone surrogates, integers over 64 bits, keys that are no text
        return json.dumps({str(name): value for name, value in (first | event).items()}, default=str)
