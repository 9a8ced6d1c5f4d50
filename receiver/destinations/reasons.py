"""Why a system did not take an event, in its own words and short enough for a log line."""

from typing import Final

_MAX_CHARACTERS: Final = 200


def first_words(error: Exception, told: str) -> str:
    """Return what the other side *told*, shortened to one line; if that is nothing, the class of *error*."""
    return " ".join(told.split())[:_MAX_CHARACTERS] or type(error).__name__
