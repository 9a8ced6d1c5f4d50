"""What a system said becomes a reason that fits a log line."""

import pytest

from receiver.destinations.reasons import first_words


class TestFirstWords:
    def test_many_lines_become_a_short_one(self) -> None:
        """Line ends and indents become single spaces, and the end of a long text is left out."""
        assert first_words(OSError(), "no\n  such \t subject ") == "no such subject"
        assert first_words(OSError(), "x" * 201) == "x" * 200

    @pytest.mark.parametrize("told", ["", " \n"])
    def test_silence_is_named_after_its_error(self, told: str) -> None:
        """There is a reason even where the other side gave none."""
        assert first_words(OSError(), told) == "OSError"
