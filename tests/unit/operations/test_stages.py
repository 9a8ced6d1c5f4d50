"""The stages that events pass on their way."""

import pytest

from receiver.operations.stages import Stage
from receiver.store.backlog import Waiting


class TestStage:
    @pytest.mark.parametrize(
        ("state", "count", "per_minute", "gone_s"),
        [
            ("running", 30, 60.0, 30.0),
            ("", 30, 60.0, 30.0),
            ("running", 0, 60.0, None),
            ("running", 30, 0.0, None),
            ("paused", 30, 60.0, None),
            ("down", 30, 60.0, None),
            ("not configured", 30, 60.0, None),
        ],
    )
    def test_gone_s(self, state: str, count: int, per_minute: float, gone_s: float | None) -> None:
        """What was sent before a destination was paused or went down says nothing about its backlog."""
        assert Stage("queue", Waiting(count), per_minute, state).gone_s == gone_s
