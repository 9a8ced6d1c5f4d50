"""Text in databases that are not in UTF-8."""

import pytest

from receiver.store.encoding import escape, unescape


class TestEscape:
    def test_is_undone(self, subtests: pytest.Subtests) -> None:
        """Every text can be written, and is read as it was."""
        for text in ["", "plain", "é", "日本 é 😀", "\x1a", "\x1a65e5;", "\\u65e5", "a\x1a;b"]:
            for codec in ["iso8859-1", "cp1252", "ascii"]:
                with subtests.test(text=text, codec=codec):
                    escaped = escape(text, codec)
                    escaped.encode(codec)
                    assert unescape(escaped) == text

    def test_leaves_alone_what_can_be_written(self) -> None:
        """Most text is what it was to others who look."""
        assert escape("échec", "iso8859-1") == "échec"
