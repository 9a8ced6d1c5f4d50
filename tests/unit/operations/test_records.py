"""What operators are shown."""

from datetime import UTC, datetime

import pytest

from receiver.operations import schemas
from receiver.operations.backfill import Tally
from receiver.operations.records import body_text, record
from receiver.store.outages import Outage


class TestRecord:
    def test_reads_what_was_found_as_its_schema_says(self) -> None:
        """Times are kept in milliseconds; an error tells no query string."""
        down = Outage("bucket", "*", "503 of https://h/x?sig=hush", since_ms=1_700_000_000_000, seen_ms=0)
        assert record(schemas.Outage, down) == {
            "kind": "bucket",
            "name": "*",
            "since": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
            "error": "503 of https://h/x?[redacted]",
        }

    def test_what_is_given_wins(self) -> None:
        """Also where what was found has nothing of that name."""
        given = {"destination": "q", "since": None, "until": datetime(2023, 11, 14, tzinfo=UTC), "events": 7}
        shown = record(schemas.Backfill, Tally(events=1, created=2, existing=3), **given, dry_run=True)
        assert shown == {**given, "created": 2, "existing": 3, "dry_run": True}


class TestBodyText:
    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (b'{"a": "https://h/x?sig=hush#f"}', '{"a":"https://h/x?[redacted]"}'),
            (b'{"a": ["https:\\/\\/h\\/x\\u003fsig=hush"]}', '{"a":["https://h/x?[redacted]"]}'),
            (b'{"https://h/?sig=hush": 1}', '{"https://h/?[redacted]":1}'),
            (b'{"a": "https:\\/\\/h\\/x?sig=hush"', '{"a": "https://h/x?[redacted]"'),
            (b"\xff https://h/x?sig=hush", "\ufffd https://h/x?[redacted]"),
            (b'{"a": 1e400}', '{"a": 1e400}'),
            (b"", ""),
        ],
    )
    def test_shows_no_query_string(self, body: bytes, shown: str) -> None:
        """However the URL is written, and whether or not the body is JSON."""
        assert body_text(body) == shown
