"""A logger for modules that every command imports.

structlog takes longer to import than a command has for all its work, and most commands log nothing: it comes
with the first line, and so does its configuration, if that was put off.
"""

from collections.abc import Callable
from typing import Any

_put_off: list[Callable[[], None]] = []


class Logger:
    """structlog's logger, once something is logged."""

    def __getattr__(self, level: str) -> Callable[..., Any]:
        """Return the method that logs a line of that level."""
        import structlog  # noqa: PLC0415  that is what this module is for

        while _put_off:
            configure = _put_off.pop()
            if not structlog.is_configured():
                configure()
        method: Callable[..., Any] = getattr(structlog.get_logger(), level)
        return method


def configure_at_first_line(configure: Callable[[], None]) -> None:
    """Have *configure* called when a `Logger` is first used, unless structlog is configured by then."""
    _put_off[:] = [configure]
