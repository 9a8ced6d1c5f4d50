"""What operators are shown."""

import pytest

from receiver.operations.records import body_text


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
