"""Access to the private API: for holders of the token, not for web pages.

If no token is configured, one is generated, in a file that only its owner can read.
"""

import hmac
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receiver.admin import answers
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


OPEN_PATHS: Final = frozenset(("/healthz",))
"""Paths that need no token."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Passes requests with the token to *app*, and marks every answer as not cacheable."""

    app: ASGIApp
    token_of: Callable[[str], str] = field(repr=False)
    """Returns the token that a path requires."""
    hint_for: Callable[[str], str] = lambda _: ""
    """Returns what the refusal of a path says besides."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let *app* answer."""

        async def send_uncached(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send_uncached)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if "origin" in headers:
            # Only browsers send it. Without CORS they would hide the answer, but the action would happen.
            return answers.error(403, "origin_refused", "This API is not for web pages.")
        path: str = scope["path"]
        if path in OPEN_PATHS or _bears(headers.getlist("authorization"), self.token_of(path)):
            return None
        message = f"Unauthorized.{self.hint_for(path)}"
        return answers.error(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})


def _bears(authorization: list[str], token: str) -> bool:
    scheme, _, given = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"
