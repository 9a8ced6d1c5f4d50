"""Text in databases that are not in UTF-8."""

import pytest

from receiver.store.encoding import escape, unescape


class TestEscape:
    @pytest.mark.parametrize("codec", ["iso8859-1", "cp1252", "ascii"])
    @pytest.mark.parametrize(
        "text", ["", "plain", "é", "日本 é 😀", "\x1a", "\x1a65e5;", "\\u65e5", "a\x1a;b"]
    )
    def test_is_undone(self, text: str, codec: str) -> None:
        """Every text can be written, and is read as it was."""
        escaped = escape(text, codec)
        escaped.encode(codec)
        assert unescape(escaped) == text

    def test_leaves_alone_what_can_be_written(self) -> None:
        """Most text is what it was to others who look."""
        assert escape("échec", "iso8859-1") == "échec"
