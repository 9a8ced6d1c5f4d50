"""How far a source was reconciled, between passes."""

import pytest

from receiver.worker.cursor import MARGIN_MS, Cursor
from receiver.worker.sweep import Sweep
from tests.unit.worker.listing import NOW

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class TestLoad:
    def test_reads_what_dump_wrote(self) -> None:
        """Everything survives, an unfinished sweep and the order of what is watched too."""
        sweep = Sweep(NOW, NOW, order="oldest_first", offset=90, waiting={"gen_1": NOW, "gen_2": None})
        cursor = Cursor(NOW, 1_500, {"gen_9": 2, "gen_3": 1}, sweep)
        loaded = Cursor.load(cursor.dump(), otherwise_ms=0)
        assert loaded == cursor
        assert list(loaded.watched) == ["gen_9", "gen_3"]

    @pytest.mark.parametrize("text", [None, "", "nonsense", "[]", "{}", '{"sweep": null, "new": 1}'])
    def test_begins_anew(self, text: str | None) -> None:
        """What cannot be read, be it another release's, is begun anew."""
        assert Cursor.load(text, otherwise_ms=NOW) == Cursor(NOW)


class TestNextSweep:
    def test_goes_below_the_mark(self) -> None:
        """A new sweep begins some way below the low-water mark."""
        assert Cursor(NOW, 7).next_sweep(NOW + 5) == Sweep(NOW - MARGIN_MS, NOW + 5, 7)

    def test_goes_on(self) -> None:
        """An unfinished sweep is taken up again."""
        sweep = Sweep(NOW, NOW)
        assert Cursor(NOW, sweep=sweep).next_sweep(NOW) is sweep


class TestAfter:
    def test_rises_to_what_was_seen(self) -> None:
        """Without anything unfinished, the mark is at the newest that was seen."""
        sweep = Sweep(0, NOW + 1, length=9, newest_ms=NOW)
        assert Cursor(5, sweep=sweep).after(sweep) == Cursor(NOW, 9)

    def test_stays_at_the_oldest_unfinished(self) -> None:
        """What is young and unfinished holds the mark; what is old is watched instead."""
        waiting = {"young": NOW - 5, "old": NOW - HOUR_MS, "timeless": None}
        sweep = Sweep(0, NOW, newest_ms=NOW, waiting=waiting)
        after = Cursor(5, watched={"before": 1}, sweep=sweep).after(sweep)
        assert after == Cursor(NOW - 5, 0, {"before": 1, "old": NOW - HOUR_MS, "timeless": NOW})

    def test_stays_when_nothing_was_there(self) -> None:
        """An empty list moves nothing."""
        sweep = Sweep(0, NOW)
        assert Cursor(5).after(sweep) == Cursor(5)


class TestWatching:
    def test_last_in_line(self) -> None:
        """What was looked at waits behind the others; what ended is dropped."""
        cursor = Cursor(NOW, watched={"a": NOW, "b": NOW, "c": NOW})
        assert list(cursor.watching(["a", "b", "x"], ["b"], now_ms=NOW).watched) == ["c", "a"]

    def test_is_given_up_in_the_end(self) -> None:
        """After a week nobody looks any more."""
        cursor = Cursor(NOW, watched={"a": NOW - 7 * DAY_MS, "b": NOW - 7 * DAY_MS + 1})
        assert list(cursor.watching([], [], now_ms=NOW).watched) == ["b"]
