"""The standard streams of a command, which may be closed, or on a full disk."""

import os
import sys
import traceback
from typing import Final

_PRINTERS: Final = frozenset({"click", "rich"})


def open_closed() -> None:
    """Replace closed streams: otherwise a database file could get their descriptor.

    Printing then fails, as on a full disk, instead of being lost.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  for as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: SIM115, PTH123  as above
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  as above


def is_about_output(error: OSError) -> bool:
    """Whether *error* arose while printing."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PRINTERS


def unwritten() -> OSError | None:
    """Return why the last output cannot be written, and drop it; None if it was written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Else the interpreter retries at its end, and prints its own error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
