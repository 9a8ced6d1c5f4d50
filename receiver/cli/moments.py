"""Times on the command line; one without a zone is in UTC."""

from datetime import UTC, datetime
from typing import Any, Final, overload

import click

_MAX_TIMESTAMP: Final = 9_999_999_999


def age(seconds: float | None) -> str:
    """Return a duration in its two largest units."""
    if seconds is None:
        return ""
    seconds = round(seconds)
    for unit, size, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size}{unit} {seconds % size // part}{smaller}"
    return f"{seconds}s"


@overload
def to_ms(moment: datetime) -> int: ...
@overload
def to_ms(moment: datetime | None) -> int | None: ...
def to_ms(moment: datetime | None) -> int | None:
    """Return a time in milliseconds since the epoch; no event is older than that."""
    return None if moment is None else max(int(moment.timestamp() * 1000), 0)


def check_order(since: datetime | None, until: datetime | None) -> None:
    """Refuse an empty time range.

    Raises:
        UsageError: it ends before it begins.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until, which is now unless you give it.")


class Since(click.ParamType[datetime]):
    """A time, or an age."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read `2025-01-09T12:00:00Z` or `36h`."""
        from receiver.operations.moments import read_moment

        if isinstance(value, datetime):
            return value
        try:
            return read_moment(value, now=datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[float]):
    """A time, as seconds since the epoch or in ISO 8601."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it in seconds since the epoch."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = self._from_iso(str(value), param, ctx)
        if not 0 <= seconds <= _MAX_TIMESTAMP:
            self.fail(f"{value} is not in seconds since 1970", param, ctx)
        return seconds

    def _from_iso(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is neither seconds since 1970 nor a time like 2025-01-09T12:00:15Z", param, ctx
            )
