"""Fixtures shared by every test: the real servers, each started once per session and only when asked for."""

import functools
import gc
from collections.abc import Generator, Iterator
from typing import Any

import botocore.session
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
    "tests.databases",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Look for no garbage while tests are collected, nor ever among them: all of it stays to the end."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what needs RabbitMQ first, for one process to run: it takes seconds of processor time to start."""
    items.sort(key=lambda item: "rabbitmq" not in item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any] | None, Any]:
    """Replace halves of surrogate pairs, which a failure may show: xdist would end the whole run."""
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {name: _sendable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        sent = [_sendable(one) for one in value]
        return tuple(sent) if isinstance(value, tuple) else sent
    return value


@pytest.fixture(scope="session", autouse=True)
def models_of_aws_read_once() -> Iterator[None]:
    """Share what botocore reads of its models: each session of boto3 would read them again, for 0.15 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        yield


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
