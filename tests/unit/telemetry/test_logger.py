"""The logger that imports structlog with its first line."""

import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from receiver.telemetry.logger import Logger, configure_at_first_line


class TestLogger:
    def test_is_configured_at_its_first_line(self) -> None:
        """Once, and not before."""
        told: list[dict[str, object]] = []

        def keep(_logger: object, _method: str, line: EventDict) -> str:
            told.append(dict(line))
            return ""

        def configure() -> None:
            structlog.configure(processors=[keep])

        configure_at_first_line(configure)
        assert not structlog.is_configured()
        log = Logger()
        log.warning("one", number=1)
        log.error("two")
        assert told == [{"event": "one", "number": 1}, {"event": "two"}]

    def test_leaves_what_is_configured_alone(self) -> None:
        """Whoever did it meant it."""
        configure_at_first_line(lambda: structlog.configure(processors=[]))
        with capture_logs() as lines:
            Logger().warning("one")
        assert [line["event"] for line in lines] == ["one"]
