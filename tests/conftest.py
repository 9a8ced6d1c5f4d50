"""Fixtures shared by every test: the real servers, each started once per session and only when asked for."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from receiver.telemetry import logs
from receiver.telemetry.logger import configure_at_first_line

pytest_plugins = [
    "tests.contract.sandbox_dialects",
    "tests.servers.assets",
    "tests.servers.kafka",
    "tests.servers.nats",
    "tests.servers.postgres",
    "tests.servers.pgbouncer",
    "tests.servers.rabbitmq",
    "tests.servers.seaweedfs",
    "tests.servers.sqs",
    "tests.servers.valkey",
]


@pytest.fixture(autouse=True)
def loggers_that_listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command in this process configures: `capture_logs` would be deaf in later tests."""
    configure = structlog.configure

    def configure_without_cache(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", configure_without_cache)
    monkeypatch.setattr(logs, "_json_lines", None)
    yield
    configure_at_first_line(lambda: None)
    structlog.reset_defaults()
