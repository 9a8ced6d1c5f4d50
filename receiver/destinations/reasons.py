"""Why a system did not accept an event, in its own words and short enough for a log line."""

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

_MAX_CHARACTERS: Final = 200
_HUNG_UP: Final = re.compile("closed by server|without sending a response|reset by peer", re.IGNORECASE)


def first_words(error: Exception, text: str) -> str:
    """Return the other side's *text*, shortened to one line, or the class of *error* if it is empty."""
    return " ".join(text.split())[:_MAX_CHARACTERS] or type(error).__name__


def cause(error: BaseException) -> str:
    """Say why a connection failed; libraries hide that in the causes of their own *error*.

    Quote only the TLS library and the operating system: a library's text may contain a URL.
    """
    behind = list(_chain(error))
    for each in behind:
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"{type(each).__name__}: {each.verify_message}"
        if isinstance(each, ssl.SSLError):
            return f"{type(each).__name__}: {_ssl_words(each)}"
    for each in behind:
        if isinstance(each, socket.gaierror):
            return f"its name has no address: {each.strerror}"
        if isinstance(each, OSError) and each.strerror:
            return f"{type(each).__name__}: {each.strerror}"
    return type(error).__name__


def hung_up(error: BaseException) -> bool:
    """Whether the other side closed the connection without an answer."""
    return any(
        isinstance(each, ConnectionResetError | BrokenPipeError | EOFError) or _HUNG_UP.search(str(each))
        for each in _chain(error)
    )


def _ssl_words(error: ssl.SSLError) -> str:
    # OpenSSL names its reasons; Python's own errors have none.
    return str(getattr(error, "reason", None) or "TLS failed").replace("_", " ").lower()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from _chain(error.exceptions[0])
        error = error.__cause__ or error.__context__
