"""The generated token for when none is configured, in a file that only its owner can read."""

import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from receiver.errors import ConfigError, variable

FILE_NAME: Final = "admin-token"
LEAST_CHARS: Final = 16
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and where it comes from."""

    text: str = field(repr=False)
    path: Path | None = None
    """The file it is kept in; None if it was configured."""
    is_new: bool = False


def configured(text: str) -> Token:
    """Return the token that the settings name.

    Raises:
        ConfigError: it is too short, or no header could carry it.
    """
    if len(text) < LEAST_CHARS or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            f"write at least {LEAST_CHARS} printable ASCII characters without blanks, such as"
            " `openssl rand -hex 32` prints",
            "admin_token",
        )
    return Token(text)


def kept(folder: Path) -> Token:
    """Return the token in *folder*, generated at the first call.

    Raises:
        ConfigError: the file cannot be used, or others may read it.
    """
    path = folder / FILE_NAME
    if path.exists():
        return Token(_read(path), path)
    try:
        return Token(_made(path), path, is_new=True)
    except FileExistsError:
        return Token(_read(path), path)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _made(path: Path) -> str:
    text = secrets.token_urlsafe(32)
    draft, name = tempfile.mkstemp(prefix=f".{FILE_NAME}-", dir=path.parent)
    try:
        with os.fdopen(draft, "w") as file:
            file.write(text + "\n")
        # Created atomically, never replacing another process's: a crash leaves no empty token behind.
        path.hardlink_to(name)
    finally:
        Path(name).unlink()
    return text


def _read(path: Path) -> str:
    try:
        text, mode = path.read_text().strip(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, str(error)) from error
    if mode & _OTHERS:
        raise _unusable(path, "others can read it: chmod 600, or remove it to generate a new one")
    if len(text) < LEAST_CHARS:
        raise _unusable(path, "it has no token: remove it to generate a new one")
    return text


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{variable('admin_token')} is not set, and {path} cannot be used instead: {why}")
