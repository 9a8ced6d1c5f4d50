"""The name of a folder: the same for every process that uses it, after every restart."""

import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

_ID: Final = re.compile(r"[0-9a-f]{32}")


def folder_id(path: Path) -> str:
    """Return the id in the file *path*; the first caller creates it.

    Raises:
        OSError: its folder cannot be read or written.
    """
    if found := _read(path):
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    made = secrets.token_hex(16)
    draft = path.with_name(f".{made}")
    try:
        draft.write_text(made)
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return _read(path) or made


def _publish(draft: Path, path: Path) -> None:
    """Give *draft* its name, unless another process was faster with a valid one."""
    with suppress(OSError):  # the name is taken, or the file system has no links
        path.hardlink_to(draft)
    if not _read(path):
        draft.replace(path)


def _read(path: Path) -> str | None:
    with suppress(FileNotFoundError):
        found = path.read_text("ascii", "replace")
        return found if _ID.fullmatch(found) else None
    return None
