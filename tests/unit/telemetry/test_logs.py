"""Logging: one line per fact, without secrets."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from receiver.telemetry import logs

SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in (*logs._QUIET, *logs._SILENT):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(**options: Any) -> tuple[io.StringIO, Any]:
    stream = io.StringIO()
    logs.configure(stream=stream, **options)
    return stream, structlog.get_logger()


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def crash(secret: bytes) -> None:
    api_key = f"avs_live_{SECRET}"
    raise ValueError(f"https://user:{SECRET}@h/?sig={SECRET}", secret and api_key[:4])


class TestConfigure:
    def test_json(self) -> None:
        """Elsewhere than on a terminal each fact is one JSON object: time, level and fact first."""
        stream, log = configured()
        log.info("mirrored", size_bytes=7)
        (line,) = written(stream)
        assert list(line)[:3] == ["timestamp", "level", "event"]
        assert (line["level"], line["event"], line["size_bytes"]) == ("info", "mirrored", 7)
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None

    def test_console(self) -> None:
        """For people the fact and its details are on one plain line."""
        stream, log = configured(log_format="console")
        log.warning("asset postponed", error="http_503")
        (line,) = stream.getvalue().splitlines()
        assert "asset postponed" in line
        assert "error=http_503" in line

    def test_level(self) -> None:
        """What is below the level is not written, ours or a library's."""
        stream, log = configured(level="WARNING")
        log.info("no")
        logging.getLogger("some.library").info("no")
        log.warning("yes")
        assert [line["event"] for line in written(stream)] == ["yes"]

    def test_libraries_look_alike(self) -> None:
        """A library's warning is a line like ours, redacted like ours."""
        stream, _ = configured()
        logging.getLogger("some.library").warning("cannot reach %s", f"https://h/?sig={SECRET}")
        (line,) = written(stream)
        assert (line["level"], line["event"]) == ("warning", "cannot reach https://h/?[redacted]")

    @pytest.mark.parametrize("name", logs._QUIET)
    def test_quiet_libraries(self, name: str) -> None:
        """Libraries whose information lines carry whole URLs say only warnings."""
        stream, _ = configured(level="DEBUG")
        logging.getLogger(f"{name}.part").info("GET https://h/?sig=x")
        assert stream.getvalue() == ""

    @pytest.mark.parametrize("name", logs._SILENT)
    def test_silent_libraries(self, name: str) -> None:
        """Libraries that log an error for each refused connection leave that to the outcome."""
        stream, _ = configured(level="DEBUG")
        logging.getLogger(f"{name}.part").error("connection refused")
        assert stream.getvalue() == ""

    @pytest.mark.parametrize("log_format", ["json", "console"])
    @pytest.mark.parametrize("logger", ["ours", "library"])
    def test_traceback_without_secrets(self, log_format: str, logger: str) -> None:
        """Invariant 8: a traceback shows where, and neither local variables nor secrets in the message."""
        stream, log = configured(log_format=log_format)
        try:
            crash(SECRET.encode())
        except ValueError:
            if logger == "ours":
                log.exception("mirror crashed")
            else:
                logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
        output = stream.getvalue()
        assert SECRET not in output
        assert "in crash" in output
        assert "ValueError" in output

    @pytest.mark.parametrize("value", ["\udcff", 2**70, {1: "a"}, b"x", object(), float("nan")])
    def test_any_value_can_be_written(self, value: object) -> None:
        """A value that JSON does not know never turns a log line into an exception."""
        stream, log = configured()
        log.info("odd", value=value)
        (line,) = written(stream)
        assert line["event"] == "odd"

    async def test_lines_of_one_turn_keep_their_order(self) -> None:
        """Lines written within the event loop all arrive, in order."""
        stream, log = configured()
        for number in range(3):
            log.info("turn", number=number)
        await asyncio.sleep(0)
        assert [line["number"] for line in written(stream)] == [0, 1, 2]

    def test_a_line_left_by_one_loop_does_not_silence_the_next(self) -> None:
        """Lines written as a loop ends are not lost, nor are those that come after it."""
        stream, log = configured()
        loop = asyncio.new_event_loop()
        loop.call_soon(loop.stop)
        loop.call_soon(lambda: log.info("last of the loop"))
        loop.run_forever()
        loop.close()
        log.info("after the loop")
        assert [line["event"] for line in written(stream)] == ["last of the loop", "after the loop"]
