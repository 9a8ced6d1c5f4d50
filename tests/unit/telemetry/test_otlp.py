"""Setting up the sending of spans."""

import sys

import pytest
from structlog.testing import capture_logs

from receiver import tracing
from receiver.telemetry.otlp import exporting

NAMED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


class TestExporting:
    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine that names a collector for all its programs does not keep ours from running."""
        monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
        with capture_logs() as lines, exporting(NAMED):
            assert not tracing.is_on()
        [line] = lines
        assert (line["log_level"], line["event"]) == ("warning", "tracing is off")
        assert "pip install 'avs-receiver[otel]'" in line["error"]

    def test_a_wrong_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the SDK says of it is logged."""
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
        with capture_logs() as lines, exporting(NAMED):
            assert not tracing.is_on()
        assert [line["event"] for line in lines] == ["tracing is off"]

    @pytest.mark.parametrize("off", [{}, {"OTEL_SDK_DISABLED": " TRUE "}, {"OTEL_TRACES_EXPORTER": "none"}])
    def test_off(self, off: dict[str, str]) -> None:
        """Nothing is said where nothing is wanted."""
        with capture_logs() as lines, exporting({**NAMED, **off} if off else {}):
            assert not tracing.is_on()
        assert lines == []
