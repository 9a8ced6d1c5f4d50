"""Folders of downloads, and whose they are."""

import pytest

from receiver.store.spools import Process, Spool, gone_after_s

SEEN_MS = 1_700_000_000_000


class TestSpool:
    @pytest.mark.parametrize(
        ("process", "title"),
        [
            (Process("host-a", 7), "Worker 7 on host-a"),
            (None, "Worker with the spool folder 0123"),
        ],
    )
    def test_title(self, process: Process | None, title: str) -> None:
        """By its process, where that was said."""
        assert Spool("0123", SEEN_MS, process).title == title

    def test_state(self) -> None:
        """Alive as long as its worker may only have been slow to report; stopped at once if it says so."""
        spool = Spool("0123", SEEN_MS)
        gone_ms = SEEN_MS + int(gone_after_s(60) * 1000)
        assert spool.state(gone_ms - 1, 60) == "alive"
        assert spool.state(gone_ms, 60) == "gone"
        stopped = Spool("0123", SEEN_MS, has_stopped=True)
        assert stopped.state(SEEN_MS, 60) == stopped.state(gone_ms, 60) == "stopped"
