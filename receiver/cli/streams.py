"""The standard streams of a command, as whoever started it left them: closed, or on a full disk."""

import os
import sys
import traceback
from typing import Final

_PRINTERS: Final = frozenset({"click", "rich"})


def open_closed() -> None:
    """Put something in the place of a stream that was closed: a database would be opened as that otherwise.

    Whatever is printed then fails, as on a full disk, instead of being lost.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  for as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: SIM115, PTH123  as above
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  as above


def is_about_output(error: OSError) -> bool:
    """Whether *error* arose while something was printed: nothing else is written by those who print."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PRINTERS


def unwritten() -> OSError | None:
    """Return why what was printed last cannot be written; None if it is. It is dropped."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Else the interpreter tries once more at its end, and complains in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
