"""What a system said becomes a reason that fits a log line."""

import asyncio
import socket
import ssl

import pytest

from receiver.destinations.reasons import cause, first_words, hung_up


class TestFirstWords:
    def test_many_lines_become_a_short_one(self) -> None:
        """Line ends and indents become single spaces, and the end of a long text is left out."""
        assert first_words(OSError(), "no\n  such \t subject ") == "no such subject"
        assert first_words(OSError(), "x" * 201) == "x" * 200

    @pytest.mark.parametrize("told", ["", " \n"])
    def test_silence_is_named_after_its_error(self, told: str) -> None:
        """There is a reason even where the other side gave none."""
        assert first_words(OSError(), told) == "OSError"


def _behind(error: Exception) -> Exception:
    """Return what a library makes of *error*: an error of its own, whose text may hold a URL."""
    wrapped = ConnectionError("redis://me:hunter2@host")
    wrapped.__cause__ = error
    return wrapped


class TestCause:
    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
            (socket.gaierror(-2, "Name or service not known"), "its name has no address: Name or service"),
            (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "SSLError: "),
            (ValueError("hunter2"), "ConnectionError"),
        ],
    )
    def test_what_is_behind_a_library_s_error(self, error: Exception, told: str) -> None:
        """The operating system and the TLS library say why; a library's own text stays out."""
        assert cause(_behind(error)).startswith(told)
        assert "hunter2" not in cause(_behind(error))


class TestHungUp:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (ConnectionResetError(), True),
            (BrokenPipeError(), True),
            (asyncio.IncompleteReadError(b"", 1), True),
            (RuntimeError("Server disconnected without sending a response."), True),
            (ConnectionRefusedError(), False),
            (TimeoutError(), False),
            (ssl.SSLError(1, "wrong version number"), False),
        ],
    )
    def test_an_end_is_told_from_a_refusal(self, error: Exception, expected: bool) -> None:
        """A connection that was ended is neither one that was refused nor one that was ignored."""
        assert hung_up(_behind(error)) is expected
